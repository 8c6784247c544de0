//! The profile that LXC loads when a container starts (lxc.container.conf(5), "SECCOMP").

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{allowed::SeccompFile, calls::CallList, error::FilterError};

/// The profile that is installed, for an agent that is run where it is not.
const OWN: &str = include_str!("../../../seccomp/softwarecontainer.seccomp");
/// How the second line of a profile begins that refuses what it lists.
const DENYLIST: &str = "denylist";
/// The section that counts for every instruction set, as does what comes before any section.
const ALL: &str = "[all]";

/// Writes the profile that LXC is to load to `directory`, if there is to be one; the file.
///
/// A call that `list` does not have is left to the filter of the list, which has the profile's
/// answer and logs it; LXC's filter would be there first. What the profile answers with ENOSYS
/// stays: C libraries try such calls, and go on, all the time.
///
/// # Errors
/// [`FilterError`].
pub fn prepare(
    profile: &SeccompFile,
    list: Option<&mut CallList>,
    directory: &Path,
) -> Result<Option<PathBuf>, FilterError> {
    let text = match profile {
        SeccompFile::Off => return Ok(None),
        SeccompFile::Default => OWN.to_owned(),
        SeccompFile::File(path) => {
            fs::read_to_string(path).map_err(|source| FilterError::Read {
                path: path.clone(),
                source,
            })?
        }
    };
    let text = match list {
        None => text,
        Some(list) => {
            let (rest, answers) = divide(&text, |name| list.has(name));
            list.answer(answers);
            rest
        }
    };
    let path = directory.join("seccomp.profile");
    fs::write(&path, text).map_err(|source| FilterError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(Some(path))
}

/// The profile without the calls that it refuses whatever their arguments and that are not
/// `listed`, and the errnos that it has for these.
fn divide(profile: &str, listed: impl Fn(&str) -> bool) -> (String, BTreeMap<String, i32>) {
    let mut answers = BTreeMap::new();
    if !profile
        .lines()
        .nth(1)
        .is_some_and(|line| line.starts_with(DENYLIST))
    {
        return (profile.to_owned(), answers);
    }
    let mut rest = String::new();
    let mut for_all = true;
    for line in profile.lines() {
        if line.starts_with('[') {
            for_all = line.trim() == ALL;
        }
        match refused_always(line) {
            Some((name, errno)) if for_all && errno != libc::ENOSYS && !listed(name) => {
                answers.insert(name.to_owned(), errno);
            }
            _ => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (rest, answers)
}

/// A line like `mount errno 1`.
fn refused_always(line: &str) -> Option<(&str, i32)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    (words.next()? == "errno").then_some(())?;
    let errno = words.next()?.parse().ok()?;
    words.next().is_none().then_some((name, errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_list_refuses_leaves_the_profile_with_its_answer() {
        let profile = "2\ndenylist\n# mount errno 1\n[all]\nmount errno 1\nbpf errno 38\n\
            clone errno 1 [0,1,SCMP_CMP_EQ]\nioctl errno 5\nswapon\n[arm]\nsetns errno 1\n";
        let (rest, answers) = divide(profile, |name| name == "ioctl");
        let expected = "2\ndenylist\n# mount errno 1\n[all]\nbpf errno 38\n\
            clone errno 1 [0,1,SCMP_CMP_EQ]\nioctl errno 5\nswapon\n[arm]\nsetns errno 1\n";
        assert_eq!(rest, expected);
        assert_eq!(answers, BTreeMap::from([("mount".to_owned(), 1)]));
    }

    #[test]
    fn a_profile_that_is_no_denylist_is_left_as_it_is() {
        let profile = "2\nallowlist errno 1\n[all]\nmount errno 1\n";
        let (rest, answers) = divide(profile, |_| false);
        assert_eq!((rest.as_str(), answers.len()), (profile, 0));
    }

    #[test]
    fn our_own_is_divided() {
        let (rest, answers) = divide(OWN, |_| false);
        assert_eq!(answers.get("mount"), Some(&libc::EPERM));
        assert_eq!(answers.get("clone3"), None);
        assert!(!rest.lines().any(|line| line.starts_with("mount ")));
        for line in [
            "clone3 errno 38",
            "openat2 errno 38",
            "prlimit64 errno 1 [0,1,SCMP_CMP_EQ]",
        ] {
            assert!(rest.lines().any(|it| it == line), "{line}");
        }
    }
}
