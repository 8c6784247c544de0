//! Why a program file that exists is "not found": what its first bytes say should run it is
//! missing. execve(2) gives the same error for the file and for its interpreter.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// How much of a script's first line the kernel looks at (`BINPRM_BUF_SIZE` in linux/binfmts.h).
const SCRIPT_LINE: u64 = 256;
/// How often a script's interpreter may be a script (execve(2)).
const DEPTH: usize = 5;
/// The most program headers that are looked at; a program has about ten.
const PROGRAM_HEADERS: u16 = 64;
/// The type of the program header that names the dynamic loader (elf(5)).
const PT_INTERP: u32 = 3;

/// The interpreter that is missing, and whose it is; `None` if none is, or if `program` itself is
/// missing.
pub(crate) fn interpreter(program: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut program = program.to_owned();
    for _ in 0..DEPTH {
        let next = named_by(&mut open(&program).ok()?)?;
        if !next.exists() {
            return Some((next, program));
        }
        program = next;
    }
    None
}

/// Whether a program file that the kernel does not know how to execute may be a script: one for
/// another machine has bytes that no text has, as bash judges it, too.
pub(crate) fn is_text(program: &Path) -> bool {
    let mut head = Vec::new();
    let read = open(program).and_then(|file| file.take(SCRIPT_LINE).read_to_end(&mut head));
    read.is_ok() && !head.contains(&0)
}

/// Not waiting for a writer, should it be a FIFO.
fn open(program: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(program)
}

/// The interpreter that a program file names.
fn named_by(file: &mut File) -> Option<PathBuf> {
    let mut head = Vec::new();
    file.take(SCRIPT_LINE).read_to_end(&mut head).ok()?;
    let path = match head.strip_prefix(b"#!") {
        Some(rest) => script_interpreter(rest)?.to_vec(),
        None => loader(&head, file)?,
    };
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}

/// From the first line of a script, after `#!`.
fn script_interpreter(rest: &[u8]) -> Option<&[u8]> {
    let line = rest.split(|&byte| byte == b'\n').next()?;
    line.split(|&byte| byte == b' ' || byte == b'\t')
        .find(|word| !word.is_empty())
}

/// The dynamic loader of an ELF file (elf(5)) of this machine's byte order, which `head` is the
/// beginning of.
fn loader(head: &[u8], file: &mut File) -> Option<Vec<u8>> {
    let wide = match head.get(..5)? {
        b"\x7fELF\x02" => true,
        b"\x7fELF\x01" => false,
        _ => return None,
    };
    // Where the header of the file and those of the program keep what is needed.
    let (table_at, size_at, offset_at, length_at) = if wide {
        (32, 54, 8, 32)
    } else {
        (28, 42, 4, 16)
    };
    let number = |bytes: &[u8], at: usize| number(bytes, at, wide);
    let table = number(head, table_at)?;
    let (size, count) = (short(head, size_at)?, short(head, size_at + 2)?);
    for index in 0..count.min(PROGRAM_HEADERS) {
        let at = table.checked_add(u64::from(index) * u64::from(size))?;
        let header = read_at(file, at, u64::from(size)).ok()?;
        if header.get(..4)? == PT_INTERP.to_ne_bytes() {
            let length = number(&header, length_at)?.min(libc::PATH_MAX.unsigned_abs().into());
            let mut path = read_at(file, number(&header, offset_at)?, length).ok()?;
            path.truncate(path.iter().position(|&byte| byte == 0)?);
            return Some(path);
        }
    }
    None
}

fn read_at(file: &mut File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let (head, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_ne_bytes(*head))
}

fn number(bytes: &[u8], at: usize, wide: bool) -> Option<u64> {
    let rest = bytes.get(at..)?;
    if wide {
        rest.first_chunk().map(|head| u64::from_ne_bytes(*head))
    } else {
        let head = rest.first_chunk()?;
        Some(u32::from_ne_bytes(*head).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_script_names_its_interpreter_in_its_first_line() {
        assert_eq!(script_interpreter(b"/bin/sh"), Some(&b"/bin/sh"[..]));
        assert_eq!(
            script_interpreter(b" \t/usr/bin/env python3\nx"),
            Some(&b"/usr/bin/env"[..])
        );
        assert_eq!(script_interpreter(b"/bin/sh\r\n"), Some(&b"/bin/sh\r"[..]));
        assert_eq!(script_interpreter(b" \n/bin/sh"), None);
    }

    #[test]
    fn a_missing_interpreter_is_found_through_scripts_that_exist() {
        let dir = std::env::temp_dir().join(format!("sc-missing-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let (inner, outer) = (dir.join("inner"), dir.join("outer"));
        fs::write(&inner, "#!/no/such/shell\n").unwrap();
        fs::write(&outer, format!("#!{} -x\n", inner.display())).unwrap();
        let found = interpreter(&outer);
        let own = interpreter(&std::env::current_exe().unwrap());
        let mut file = File::open(std::env::current_exe().unwrap()).unwrap();
        let loader = named_by(&mut file);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found, Some(("/no/such/shell".into(), inner)));
        assert_eq!(interpreter(Path::new("/no/such/file")), None);
        // This test's own program has a loader, and that is there.
        assert_eq!(own, None);
        assert!(loader.unwrap().to_string_lossy().contains("/ld"));
    }

    #[test]
    fn a_program_is_no_text() {
        assert!(!is_text(&std::env::current_exe().unwrap()));
        assert!(is_text(Path::new("/etc/passwd")));
        assert!(!is_text(Path::new("/no/such/file")));
    }

    #[test]
    fn what_is_no_program_has_no_interpreter() {
        let dir = std::env::temp_dir().join(format!("sc-missing-cut-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let path = dir.join("file");
        for end in [0, 1, 4, 5, 20, 33, 55, 58, 64, 80, 120, 200] {
            fs::write(&path, &program[..end]).unwrap();
            assert_eq!(interpreter(&path), None, "{end} bytes");
        }
        let mut hostile = program[..64].to_vec();
        hostile[32..40].fill(0xff);
        hostile[54..58].fill(0xff);
        fs::write(&path, &hostile).unwrap();
        assert_eq!(interpreter(&path), None);
        fs::remove_dir_all(&dir).unwrap();
    }
}
