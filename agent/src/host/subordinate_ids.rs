//! User and group IDs that the host has given to users for namespaces of their own (subuid(5),
//! subgid(5)): a user who has those of containers can be their root, and reach their files.

use std::{fmt, fs, ops::Range, path::Path};

/// Where the ranges are listed.
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// IDs of containers that a user of the host has as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    file: String,
    line: usize,
    user: String,
    ids: Range<u64>,
    containers: Range<u64>,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} may use the IDs {} to {}, but {} to {} are those of containers: that user \
             can become their apps",
            self.file,
            self.line,
            self.user,
            self.ids.start,
            self.ids.end.saturating_sub(1),
            self.containers.start,
            self.containers.end.saturating_sub(1),
        )
    }
}

/// Lines of this host that give the IDs of containers to a user. Those of root do no harm: so the
/// range can be kept from others.
pub fn overlapping(containers: Range<u64>) -> Vec<Overlap> {
    let in_file = |file: &str| overlapping_in(Path::new(file), &containers);
    FILES.into_iter().flat_map(in_file).collect()
}

fn overlapping_in(file: &Path, containers: &Range<u64>) -> Vec<Overlap> {
    // A host without the file has given nothing to anybody.
    let text = fs::read_to_string(file).unwrap_or_default();
    let found = |(index, line): (usize, &str)| {
        let mut fields = line.trim().split(':');
        let (user, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let first: u64 = first.parse().ok()?;
        let ids = first..first.saturating_add(count.parse().ok()?);
        let overlaps = ids.start < containers.end && containers.start < ids.end;
        (overlaps && !["root", "0"].contains(&user)).then(|| Overlap {
            file: file.display().to_string(),
            line: index + 1,
            user: user.to_owned(),
            ids,
            containers: containers.clone(),
        })
    };
    text.lines().enumerate().filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::user_namespace::ids_of;

    #[test]
    fn a_user_whose_ids_are_those_of_containers_is_named() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("subuid");
        let text = "first:100000:65536\n# seventh of adduser(8)\nseventh:493216:65536\nroot:524288:65536\n\
            behind:17301504:65536\nempty:524288:0\nlast:17301503:1\nodd:x:1\nhuge:1:18446744073709551615\n";
        fs::write(&file, text).unwrap();
        let found = overlapping_in(&file, &ids_of(256));
        let users: Vec<_> = found.iter().map(|it| (it.line, it.user.as_str())).collect();
        assert_eq!(users, [(3, "seventh"), (7, "last"), (9, "huge")]);
        let text = found[0].to_string();
        assert!(
            text.contains("subuid:3: seventh may use the IDs 493216 to 558751"),
            "{text}"
        );
        assert!(text.contains("524288 to 17301503"), "{text}");
        assert_eq!(overlapping_in(Path::new("/none"), &ids_of(256)), []);
    }
}
