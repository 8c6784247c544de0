//! Classic BPF for seccomp: a list of system calls, each with conditions on its arguments.

/// `AUDIT_ARCH_…` of the target (linux/audit.h): ELF machine, 64 bits, little endian.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 62 | 0x8000_0000 | 0x4000_0000;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 183 | 0x8000_0000 | 0x4000_0000;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 243 | 0x8000_0000 | 0x4000_0000;
#[cfg(target_arch = "arm")]
const ARCHITECTURE: u32 = 40 | 0x4000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// A condition on the low half of an argument. All arguments that are looked at are `int` or
/// smaller for the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    index: u32,
    value: u32,
    test: u16,
    wanted: bool,
}

impl Argument {
    /// Argument `index` is `value`.
    pub(super) fn equals(index: u32, value: u32) -> Self {
        Self {
            index,
            value,
            test: JUMP_EQUAL,
            wanted: true,
        }
    }

    /// Argument `index` has one of the bits of `value`.
    pub(super) fn has(index: u32, value: u32) -> Self {
        Self {
            index,
            value,
            test: JUMP_SET,
            wanted: true,
        }
    }

    /// Argument `index` has none of the bits of `value`.
    pub(super) fn lacks(index: u32, value: u32) -> Self {
        Self {
            index,
            value,
            test: JUMP_SET,
            wanted: false,
        }
    }
}

/// A filter that kills the process at what is not allowed.
pub(super) struct Program(Vec<libc::sock_filter>);

fn instruction(code: u16, jump_true: u8, jump_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: jump_true,
        jf: jump_false,
        k,
    }
}

impl Program {
    pub(super) fn new() -> Self {
        Self(vec![
            instruction(LOAD, 0, 0, ARCH),
            instruction(JUMP_EQUAL, 1, 0, ARCHITECTURE),
            instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
            instruction(LOAD, 0, 0, NUMBER),
        ])
    }

    pub(super) fn allow(&mut self, call: libc::c_long) {
        self.allow_if(call, &[]);
    }

    /// Allows `call` if all `conditions` hold; else later entries for the same call are asked.
    pub(super) fn allow_if(&mut self, call: libc::c_long, conditions: &[Argument]) {
        // Numbers are small and positive; another one would match no call.
        let number = u32::try_from(call).unwrap_or(u32::MAX);
        // A failed condition jumps behind the entry, to where the number is loaded again.
        let length = |conditions: usize| u8::try_from(conditions * 2 + 1).unwrap_or(u8::MAX);
        let reload = u8::from(!conditions.is_empty());
        let mut rest = conditions.len();
        self.0
            .push(instruction(JUMP_EQUAL, 0, length(rest) + reload, number));
        for condition in conditions {
            rest -= 1;
            let offset = ARGUMENTS + condition.index * 8;
            let out = length(rest);
            let (jump_true, jump_false) = if condition.wanted { (0, out) } else { (out, 0) };
            self.0.push(instruction(LOAD, 0, 0, offset));
            self.0.push(instruction(
                condition.test,
                jump_true,
                jump_false,
                condition.value,
            ));
        }
        self.0
            .push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
        if reload == 1 {
            self.0.push(instruction(LOAD, 0, 0, NUMBER));
        }
    }

    pub(super) fn finish(mut self) -> Vec<libc::sock_filter> {
        self.0
            .push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS));
        self.0
    }
}

#[cfg(test)]
mod tests;
