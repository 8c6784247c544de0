//! Bombs and floods: what one container uses up is its own.

use crate::world::{Attack, MEMORY, MEMORY_LIMIT};

/// Another container still runs programs.
fn others_go_on(attack: &Attack) {
    let other = attack.agent.create();
    assert_eq!(attack.agent.shell_ok(other, "echo alive"), "alive");
    attack.agent.client().destroy(other).unwrap();
}

#[test]
fn a_fork_bomb_ends_at_the_limit_of_processes() {
    let attack = Attack::new();
    let output = attack.attempt("fork_bomb");
    assert!(output.ends_with("refused EAGAIN"), "{output}");
    let children: u32 = output
        .lines()
        .find_map(|line| line.strip_prefix("children "))
        .unwrap()
        .parse()
        .unwrap();
    assert!((1000..1024).contains(&children), "{children}");
    others_go_on(&attack);
}

#[test]
fn a_thread_bomb_ends_at_the_limit_of_processes() {
    let attack = Attack::new();
    attack.refused("thread_bomb", &["EAGAIN"]);
    others_go_on(&attack);
}

/// The kernel kills what goes beyond the limit, and nothing else.
#[test]
fn a_memory_bomb_ends_at_the_capabilitys_limit() {
    let attack = Attack::new();
    attack
        .agent
        .client()
        .set_capabilities(attack.id, &[MEMORY_LIMIT])
        .unwrap();
    let output = attack.attempt(&format!("memory_bomb {}", 4 * MEMORY));
    assert!(
        !output.contains("done"),
        "it got four times its memory: {output}"
    );
    assert_eq!(attack.agent.shell_ok(attack.id, "echo alive"), "alive");
    others_go_on(&attack);
}

#[test]
fn a_process_runs_out_of_descriptors_alone() {
    let attack = Attack::new();
    let output = attack.attempt("descriptor_bomb");
    assert!(output.ends_with("refused EMFILE"), "{output}");
    others_go_on(&attack);
}

#[test]
fn the_limit_of_descriptors_cannot_be_raised() {
    let attack = Attack::new();
    let output = attack.attempt("raise_descriptor_limit");
    assert!(
        output.contains("not allowed to raise maximum limit"),
        "{output}"
    );
}

#[test]
fn the_root_tree_ends_at_its_size() {
    let attack = Attack::new();
    attack.refused("fill_root", &["ENOSPC"]);
    others_go_on(&attack);
}

#[test]
fn the_root_tree_ends_at_its_number_of_files() {
    let attack = Attack::new();
    attack.refused("fill_inodes", &["ENOSPC"]);
    others_go_on(&attack);
}

#[test]
fn dev_ends_at_its_size() {
    let attack = Attack::new();
    attack.refused("fill_dev", &["ENOSPC", "EACCES", "EPERM"]);
    others_go_on(&attack);
}

/// Empty ones have no size, but take memory that no process can be killed for.
#[test]
fn dev_ends_at_its_number_of_files() {
    let attack = Attack::new();
    attack.refused("fill_dev_inodes", &["ENOSPC"]);
    others_go_on(&attack);
}

#[test]
fn shared_memory_ends_at_its_size() {
    let attack = Attack::new();
    attack.refused("fill_shm", &["ENOSPC", "ENOENT"]);
    others_go_on(&attack);
}

/// Whatever an app prints goes to the output file, not to the log.
#[test]
fn a_flood_of_output_leaves_the_log_alone() {
    let attack = Attack::new();
    let before = attack.agent.log().len();
    let script = "head -c 20000000 /dev/zero | tr '\\0' x >&2; echo end";
    let (status, output) = attack.agent.shell(attack.id, script);
    assert_eq!(status, 0);
    assert!(output.ends_with("end\n"));
    let grown = attack.agent.log().len() - before;
    // Other attacks of this run make their lines, too.
    assert!(grown < 1_000_000, "the log grew by {grown} bytes");
    attack.check_health();
}
