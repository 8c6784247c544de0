mod decisions;

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
