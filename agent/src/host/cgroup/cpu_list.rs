//! Lists of processors as the kernel writes them (cpuset(7), "List format").

use std::{fmt, str::FromStr};

use thiserror::Error;

/// More than any kernel is built for.
const MOST: u32 = 8192;

/// Some of the machine's processors, such as `0-2,4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList {
    text: String,
    count: u32,
}

/// A text that is no list of processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is no list of processors such as 0-2,4")]
pub struct NoCpuList;

impl CpuList {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl FromStr for CpuList {
    type Err = NoCpuList;

    fn from_str(text: &str) -> Result<Self, NoCpuList> {
        let text: String = text.split_whitespace().collect();
        let mut next = 0;
        let mut count = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u32 = first.parse().map_err(|_| NoCpuList)?;
            let last: u32 = last.parse().map_err(|_| NoCpuList)?;
            // In order, so that none counts twice.
            if first < next || last < first || last >= MOST {
                return Err(NoCpuList);
            }
            count += last - first + 1;
            next = last + 1;
        }
        Ok(Self { text, count })
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_a_list() {
        for (text, count) in [("0", 1), ("0-3", 4), ("1,3-5,7", 5), ("0-1, 3\n", 3)] {
            assert_eq!(text.parse::<CpuList>().unwrap().count(), count, "{text}");
        }
        assert_eq!(
            "0-1, 3".parse::<CpuList>().map(|it| it.to_string()),
            Ok("0-1,3".to_owned())
        );
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "", ",", "a", "-1", "1-", "3-1", "1,1", "2,0", "0-9999", "all",
        ] {
            assert_eq!(text.parse::<CpuList>(), Err(NoCpuList), "{text}");
        }
    }
}
