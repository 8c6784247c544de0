//! What compiled programs decide, for each machine that the product runs on: libseccomp 2.5 makes
//! some long programs wrong.

use std::collections::BTreeSet;

use libseccomp::{ScmpArch, ScmpSyscall};
use softwarecontainer_capability::privilege::SystemCall;
use softwarecontainer_init::{Answer, Call};

use super::{listed, *};

/// SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM and with ENOSYS, and SECCOMP_RET_USER_NOTIF of
/// linux/seccomp.h.
const PASSES: u32 = 0x7fff_0000;
const REFUSED: u32 = 0x0005_0001;
const ABSENT: u32 = 0x0005_0026;
const ASKED: u32 = 0x7fc0_0000;

/// An instruction set, with the numbers of some of its calls (asm/unistd.h).
struct Set {
    name: ScmpArch,
    /// AUDIT_ARCH_* of linux/audit.h.
    token: u32,
    clone: u32,
    personality: u32,
    read: u32,
    setsockopt: u32,
    socket: u32,
    unshare: u32,
}

const X86_64: Set = Set {
    name: ScmpArch::X8664,
    token: 0xc000_003e,
    clone: 56,
    personality: 135,
    read: 0,
    setsockopt: 54,
    socket: 41,
    unshare: 272,
};
const I386: Set = Set {
    name: ScmpArch::X86,
    token: 0x4000_0003,
    clone: 120,
    personality: 136,
    read: 3,
    setsockopt: 366,
    socket: 359,
    unshare: 310,
};
const AARCH64: Set = Set {
    name: ScmpArch::Aarch64,
    token: 0xc000_00b7,
    clone: 220,
    personality: 92,
    read: 63,
    setsockopt: 208,
    socket: 198,
    unshare: 97,
};
const ARM: Set = Set {
    name: ScmpArch::Arm,
    token: 0x4000_0028,
    clone: 120,
    personality: 136,
    read: 3,
    setsockopt: 294,
    socket: 281,
    unshare: 337,
};
/// Each machine's own instruction set, and those whose programs it runs, too.
const MACHINES: [&[Set]; 3] = [&[X86_64, I386], &[AARCH64, ARM], &[ARM]];

/// What a program decides about a call of an instruction set (struct seccomp_data of
/// linux/seccomp.h).
fn decide(program: &[u8], token: u32, call: u32, arguments: [u64; 3]) -> u32 {
    let mut data = call.to_ne_bytes().to_vec();
    data.extend(token.to_ne_bytes());
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

/// Every set of calls that matters: none, each alone, all; each with and without raw sockets.
fn everything_opened() -> impl Iterator<Item = Allowed> {
    let one_by_one = SystemCall::ALL.iter().map(|call| vec![*call]);
    let sets = one_by_one.chain([vec![], SystemCall::ALL.to_vec()]);
    sets.flat_map(|calls| {
        [false, true].map(|raw_icmp| Allowed {
            raw_icmp,
            ..opened(&calls)
        })
    })
}

/// The filters of a machine, without and with the list of calls.
fn filters(machine: &[Set]) -> [Filters; 2] {
    [Filters::new(true, None), listed()].map(|filters| Filters {
        machine: Machine::of(machine[0].name),
        ..filters
    })
}

#[test]
fn arguments_are_refused_unless_a_manifest_opens_them() {
    let new_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let header = u64::from(libc::IP_HDRINCL.cast_unsigned());
    for (machine, allowed) in MACHINES
        .iter()
        .flat_map(|machine| everything_opened().map(move |it| (*machine, it)))
    {
        let unless_opened = |call| match allowed.system_calls.contains(&call) {
            true => PASSES,
            false => REFUSED,
        };
        let of_raw = if allowed.raw_icmp { REFUSED } else { PASSES };
        let cases = |set: &Set| {
            let of_unshare = unless_opened(SystemCall::Unshare);
            let of_clone = unless_opened(SystemCall::Clone);
            let of_personality = unless_opened(SystemCall::Personality);
            vec![
                (set.unshare, [new_user, 0, 0], of_unshare),
                (set.unshare, [0x600, 0, 0], PASSES),
                (set.clone, [new_user | 17, 0, 0], of_clone),
                (set.clone, [17, 0, 0], PASSES),
                (set.personality, [4, 0, 0], of_personality),
                (set.personality, [0xffff_ffff, 0, 0], PASSES),
                (set.read, [0, 0, 0], PASSES),
                (set.socket, [2, 3, 1], PASSES),
                (set.socket, [2, 1, 6], PASSES),
                (set.socket, [10, 3, 58], PASSES),
                (set.socket, [2, 3, 6], of_raw),
                (set.socket, [2, 3 | 1 << 19, 255], of_raw),
                (set.socket, [10, 3, 1], of_raw),
                (set.socket, [17, 3, 0], of_raw),
                (set.setsockopt, [3, 1, 9], PASSES),
                (set.setsockopt, [3, 0, header], of_raw),
            ]
        };
        for filters in filters(machine) {
            let (_, arguments) = programs(&filters, &allowed);
            for set in machine {
                for (call, with, decision) in cases(set) {
                    let said = match arguments.is_empty() {
                        true => PASSES,
                        false => decide(&arguments, set.token, call, with),
                    };
                    let name = set.name;
                    assert_eq!(
                        said, decision,
                        "{name:?} {call} {with:?}, open: {allowed:?}"
                    );
                }
            }
        }
    }
}

/// A call's number, if the instruction set has it.
fn number(call: &str, set: &Set) -> Option<u32> {
    let number = ScmpSyscall::from_name_by_arch(call, set.name).unwrap();
    u32::try_from(i32::from(number)).ok()
}

#[test]
fn whole_calls_are_refused_unless_a_manifest_opens_them() {
    for machine in MACHINES {
        let [without, with] = filters(machine);
        for allowed in everything_opened() {
            let (_, arguments) = programs(&without, &allowed);
            let calls = &with.get(&allowed).unwrap().calls;
            let whole = |call: &&SystemCall| !arguments::depends_on_arguments(**call);
            for (set, call) in machine.iter().flat_map(|set| {
                SystemCall::ALL
                    .iter()
                    .filter(whole)
                    .map(move |it| (set, it))
            }) {
                let Some(number) = number(call.name(), set) else {
                    continue;
                };
                let is_open = allowed.system_calls.contains(call);
                let said = [
                    decide(&arguments, set.token, number, [0; 3]),
                    decide(&calls.program, set.token, number, [0; 3]),
                ];
                let answer = Answer {
                    call: Call::new(number, set.token & 1 << 31 == 0),
                    errno: libc::EPERM,
                };
                let what = format!("{:?} {call:?}, open: {allowed:?}", set.name);
                match (is_open, calls.listen) {
                    (true, _) => assert_eq!(said, [PASSES; 2], "{what}"),
                    (false, true) => assert_eq!(said, [REFUSED, ASKED], "{what}"),
                    (false, false) => assert_eq!(said, [REFUSED; 2], "{what}"),
                }
                let asked = calls.listen && !is_open;
                assert_eq!(calls.answers.contains(&answer), asked, "{what}");
            }
        }
    }
}

#[test]
fn the_list_decides_on_every_call_that_libseccomp_knows() {
    for machine in MACHINES {
        let [_, with] = filters(machine);
        let list = CallList::read(&SeccompFile::Default).unwrap().unwrap();
        let calls = &with.get(&Allowed::default()).unwrap().calls;
        let otherwise = if calls.listen { ASKED } else { ABSENT };
        for set in machine {
            let mut seen = BTreeSet::new();
            for number in 0..600 {
                let named = ScmpSyscall::from(i32::try_from(number).unwrap());
                let Ok(name) = named.get_name_by_arch(set.name) else {
                    continue;
                };
                let said = decide(&calls.program, set.token, number, [0; 3]);
                let expected = if list.has(&name) { PASSES } else { otherwise };
                let is_refused = !calls.listen && said == REFUSED;
                assert!(
                    said == expected || is_refused,
                    "{:?} {name}: {said:x}",
                    set.name
                );
                seen.insert(said == PASSES);
            }
            assert_eq!(seen.len(), 2, "{:?}", set.name);
        }
        // x32's numbers, and an instruction set that no such machine has: AUDIT_ARCH_MIPS.
        assert_eq!(
            decide(&calls.program, X86_64.token, 1 << 30, [0; 3]),
            ABSENT
        );
        assert_eq!(decide(&calls.program, 8, 0, [0; 3]), ABSENT);
    }
}
