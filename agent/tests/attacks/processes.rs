//! Other processes: those of the host, and the container's init, which holds the agent's
//! connection.

use crate::{
    support::is_alive,
    world::{Attack, refused},
};

#[test]
fn a_process_of_the_host_cannot_be_killed() {
    let attack = Attack::new();
    let arguments = format!("kill_host {}", attack.victim());
    attack.refused(&arguments, &["ESRCH"]);
}

#[test]
fn a_process_of_the_host_cannot_be_traced() {
    let attack = Attack::new();
    let arguments = format!("ptrace_host {}", attack.victim());
    attack.refused(&arguments, &["EPERM"]);
}

#[test]
fn the_init_cannot_be_traced() {
    refused("ptrace_init", &["EPERM"]);
}

#[test]
fn own_children_cannot_be_traced() {
    refused("ptrace_self_child", &["EPERM"]);
}

#[test]
fn the_inits_memory_cannot_be_read() {
    refused("read_init_memory", &["EACCES"]);
}

#[test]
fn the_inits_memory_cannot_be_read_by_system_call() {
    refused("process_vm_readv", &["EPERM"]);
}

#[test]
fn the_inits_descriptors_cannot_be_opened() {
    refused("open_init_descriptors", &["EACCES"]);
}

#[test]
fn the_inits_environment_cannot_be_read() {
    refused("read_init_environment", &["EACCES"]);
}

#[test]
fn no_file_capability_is_set() {
    refused("gain_capability", &["EPERM"]);
}

#[test]
fn who_gave_up_root_does_not_regain_it() {
    refused("regain_root", &["EPERM", "EACCES"]);
}

/// chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service.
#[test]
fn apps_have_few_capabilities_a_filter_and_no_way_to_new_privileges() {
    let output = Attack::new().attempt("effective_capabilities");
    for line in [
        "CapEff:\t00000000000004fb",
        "CapBnd:\t00000000000004fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(output.contains(line), "{line} is missing in {output}");
    }
}

/// The init ignores what it has no handler for, as PID 1 of a namespace does.
#[test]
fn the_init_cannot_be_killed() {
    let attack = Attack::new();
    let init = attack.agent.init_pid(attack.id);
    let script = "for s in TERM INT HUP SEGV QUIT KILL STOP; do kill -$s 1; done; echo tried";
    assert_eq!(attack.agent.shell_ok(attack.id, script), "tried");
    assert!(is_alive(init));
    attack.check_health();
    assert_eq!(attack.agent.shell_ok(attack.id, "echo alive"), "alive");
}
