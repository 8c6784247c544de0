//! Runs programs on a small interpreter of the four instructions they use.

use super::*;

fn run(program: &[libc::sock_filter], arch: u32, number: u32, arguments: [u32; 6]) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let op = program[at];
        at += 1;
        match op.code {
            LOAD => {
                accumulator = match op.k {
                    NUMBER => number,
                    ARCH => arch,
                    offset => arguments[((offset - ARGUMENTS) / 8) as usize],
                }
            }
            RETURN => return op.k,
            test => {
                let holds = match test {
                    JUMP_EQUAL => accumulator == op.k,
                    _ => accumulator & op.k != 0,
                };
                at += usize::from(if holds { op.jt } else { op.jf });
            }
        }
    }
}

#[test]
fn calls_are_allowed_only_with_the_right_arguments() {
    let mut program = Program::new();
    program.allow(1);
    program.allow_if(
        2,
        &[
            Argument::equals(0, 5),
            Argument::lacks(2, 4),
            Argument::has(3, 8),
        ],
    );
    program.allow_if(2, &[Argument::equals(0, 6)]);
    program.allow(3);
    let program = program.finish();
    let allowed =
        |arch, number, arguments| run(&program, arch, number, arguments) == libc::SECCOMP_RET_ALLOW;
    let any = [0; 6];
    assert!(allowed(ARCHITECTURE, 1, any));
    assert!(allowed(ARCHITECTURE, 3, any));
    assert!(!allowed(ARCHITECTURE, 4, any));
    assert!(!allowed(ARCHITECTURE ^ 1, 1, any));
    assert!(allowed(ARCHITECTURE, 2, [5, 0, 3, 8, 0, 0]));
    assert!(!allowed(ARCHITECTURE, 2, [5, 0, 4, 8, 0, 0]));
    assert!(!allowed(ARCHITECTURE, 2, [5, 0, 0, 7, 0, 0]));
    assert!(!allowed(ARCHITECTURE, 2, [4, 0, 0, 8, 0, 0]));
    assert!(allowed(ARCHITECTURE, 2, [6, 0, 7, 0, 0, 0]));
}
