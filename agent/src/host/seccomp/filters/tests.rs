use softwarecontainer_capability::privilege::SystemCall;

use super::{super::allowed::SeccompFile, *};

fn opened(calls: &[SystemCall]) -> Allowed {
    Allowed {
        system_calls: calls.iter().copied().collect(),
        raw_icmp: false,
    }
}

fn listed() -> Filters {
    let list = CallList::read(&SeccompFile::Default).unwrap();
    Filters::new(true, list)
}

fn programs(filters: &Filters, allowed: &Allowed) -> (Vec<u8>, Vec<u8>) {
    let filters = filters.get(allowed).unwrap();
    (filters.calls.program.clone(), filters.arguments.clone())
}

#[test]
fn filters_are_whole_instructions_and_compiled_once() {
    for filters in [Filters::new(true, None), listed()] {
        let default = filters.get(&Allowed::default()).unwrap();
        assert!(!default.arguments.is_empty());
        assert_eq!(default.arguments.len() % 8, 0);
        assert_eq!(default.calls.program.len() % 8, 0);
        let again = filters.get(&Allowed::default()).unwrap();
        assert!(Arc::ptr_eq(&default, &again));
        let wider = filters.get(&opened(&[SystemCall::Ptrace])).unwrap();
        assert!(!Arc::ptr_eq(&default, &wider));
    }
}

#[test]
fn every_system_call_that_a_manifest_opens_makes_a_difference() {
    for filters in [Filters::new(true, None), listed()] {
        let default = programs(&filters, &Allowed::default());
        for &call in SystemCall::ALL {
            let one = programs(&filters, &opened(&[call]));
            assert_ne!(one, default, "{}", call.name());
        }
    }
}

#[test]
fn without_a_list_only_what_is_named_is_refused() {
    let filters = Filters::new(true, None);
    let default = filters.get(&Allowed::default()).unwrap();
    assert!(default.calls.program.is_empty());
}

#[test]
fn raw_icmp_is_a_filter_of_its_own() {
    let filters = listed();
    let raw_icmp = Allowed {
        raw_icmp: true,
        ..Allowed::default()
    };
    let longer = filters.get(&raw_icmp).unwrap().arguments.len();
    assert!(longer > filters.get(&Allowed::default()).unwrap().arguments.len());
}

#[test]
fn switched_off_there_is_none() {
    let filters = Filters::new(false, None).get(&Allowed::default()).unwrap();
    assert!(filters.calls.program.is_empty() && filters.arguments.is_empty());
}

/// AUDIT_ARCH_X86_64 and AUDIT_ARCH_I386 of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "x86_64")]
const I386: u32 = 0x4000_0003;

/// What a program decides about a call of an instruction set (struct seccomp_data of
/// linux/seccomp.h).
#[cfg(target_arch = "x86_64")]
fn decide(program: &[u8], architecture: u32, call: libc::c_long, arguments: [u64; 3]) -> u32 {
    let mut data = u32::try_from(call).unwrap().to_ne_bytes().to_vec();
    data.extend(architecture.to_ne_bytes());
    data.extend([0; 8]);
    data.extend(arguments.into_iter().flat_map(u64::to_ne_bytes));
    data.resize(64, 0);
    let number = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
    let (mut at, mut value) = (0, 0);
    loop {
        let one = &program[at * 8..at * 8 + 8];
        let (jump_true, jump_false) = (usize::from(one[2]), usize::from(one[3]));
        let operand = number(&one[4..]);
        let index = usize::try_from(operand).unwrap();
        let holds = match u16::from_ne_bytes([one[0], one[1]]) {
            0x20 => {
                value = number(&data[index..index + 4]);
                None
            }
            0x54 => {
                value &= operand;
                None
            }
            0x05 => {
                at += index;
                None
            }
            0x06 => return operand,
            0x15 => Some(value == operand),
            0x25 => Some(value > operand),
            0x35 => Some(value >= operand),
            code => panic!("instruction {code:#x}"),
        };
        at += 1 + holds.map_or(0, |it| if it { jump_true } else { jump_false });
    }
}

/// libseccomp 2.5 makes some long programs wrong.
#[cfg(target_arch = "x86_64")]
#[test]
fn compiled_filters_decide_as_they_were_written() {
    const PASSES: u32 = 0x7fff_0000;
    const REFUSED: u32 = 0x0005_0001;
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let header = u64::from(libc::IP_HDRINCL.cast_unsigned());
    let one_by_one = SystemCall::ALL.iter().map(|call| vec![*call]);
    let opened_sets = one_by_one.chain([vec![], SystemCall::ALL.to_vec()]);
    for (system_calls, raw_icmp) in opened_sets.flat_map(|it| [(it.clone(), false), (it, true)]) {
        let allowed = Allowed {
            raw_icmp,
            ..opened(&system_calls)
        };
        let unless_opened = |call| match system_calls.contains(&call) {
            true => PASSES,
            false => REFUSED,
        };
        let of_raw = if raw_icmp { REFUSED } else { PASSES };
        let expected = [
            (
                NATIVE,
                libc::SYS_unshare,
                [new_user, 0, 0],
                unless_opened(SystemCall::Unshare),
            ),
            (
                NATIVE,
                libc::SYS_clone,
                [new_user | 17, 0, 0],
                unless_opened(SystemCall::Clone),
            ),
            (NATIVE, libc::SYS_clone, [17, 0, 0], PASSES),
            (
                NATIVE,
                libc::SYS_personality,
                [4, 0, 0],
                unless_opened(SystemCall::Personality),
            ),
            (NATIVE, libc::SYS_read, [0, 0, 0], PASSES),
            (NATIVE, libc::SYS_socket, [2, 3, 1], PASSES),
            (NATIVE, libc::SYS_socket, [2, 1, 6], PASSES),
            (NATIVE, libc::SYS_socket, [10, 3, 58], PASSES),
            (NATIVE, libc::SYS_socket, [2, 3, 6], of_raw),
            (NATIVE, libc::SYS_socket, [2, 3 | 1 << 19, 255], of_raw),
            (NATIVE, libc::SYS_socket, [10, 3, 1], of_raw),
            (NATIVE, libc::SYS_socket, [17, 3, 0], of_raw),
            (NATIVE, libc::SYS_setsockopt, [3, 1, 9], PASSES),
            (NATIVE, libc::SYS_setsockopt, [3, 0, header], of_raw),
            // unshare, clone, read, socket and setsockopt of asm/unistd_32.h.
            (
                I386,
                310,
                [new_user, 0, 0],
                unless_opened(SystemCall::Unshare),
            ),
            (
                I386,
                120,
                [new_user | 17, 0, 0],
                unless_opened(SystemCall::Clone),
            ),
            (I386, 3, [0, 0, 0], PASSES),
            (I386, 359, [2, 3, 1], PASSES),
            (I386, 359, [2, 3, 6], of_raw),
            (I386, 366, [3, 0, header], of_raw),
        ];
        for filters in [Filters::new(true, None), listed()] {
            let (_, arguments) = programs(&filters, &allowed);
            for (architecture, call, with, decision) in expected {
                let said = match arguments.is_empty() {
                    true => PASSES,
                    false => decide(&arguments, architecture, call, with),
                };
                assert_eq!(
                    said, decision,
                    "{architecture:x} {call} {with:?}, open: {allowed:?}"
                );
            }
        }
    }
}
