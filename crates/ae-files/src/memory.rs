use std::path::Path;

use crate::read_text;

/// Most bytes of a file in which the system describes itself.
const LONGEST: u64 = 1 << 16;

/// Where Linux keeps its control groups (version 2).
const GROUPS: &str = "/sys/fs/cgroup";

/// Memory of the machine and of this process in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemMemory {
    /// Memory of the machine.
    pub total: u64,
    /// Memory that this process can take before anything is swapped out or killed: what the machine has, or what a control group of this
    /// process (a container, a job of Slurm) leaves it where that is less. What only caches files counts as free.
    pub available: u64,
    /// Memory that this process has in use, with the pages of mapped files that are there.
    pub used: u64,
}

impl SystemMemory {
    /// The memory as it is now; none on systems other than Linux, which do not tell it in files (proc(5)).
    pub fn read() -> Option<Self> {
        let kibibytes = |file: &str, name: &str| Some(number(Path::new(file), name)? << 10);
        let groups = text(Path::new("/proc/self/cgroup")).unwrap_or_default();
        let of_machine = kibibytes("/proc/meminfo", "MemAvailable:")?;
        Some(Self {
            total: kibibytes("/proc/meminfo", "MemTotal:")?,
            available: left_by_groups(Path::new(GROUPS), &groups).map_or(of_machine, |left| left.min(of_machine)),
            used: kibibytes("/proc/self/status", "VmRSS:")?,
        })
    }
}

/// Bytes that the control groups of a process leave it, where one of them has a limit; `groups` is its `/proc/self/cgroup`.
fn left_by_groups(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = root.join(own);
    own.ancestors().take_while(|group| group.starts_with(root)).filter_map(left_by).min()
}

/// Bytes that one control group leaves, if it has a limit.
fn left_by(group: &Path) -> Option<u64> {
    // Without a limit it says "max".
    let limit: u64 = text(&group.join("memory.max"))?.trim().parse().ok()?;
    let current: u64 = text(&group.join("memory.current"))?.trim().parse().ok()?;
    let statistics = group.join("memory.stat");
    let files = ["active_file", "inactive_file"].map(|name| number(&statistics, name).unwrap_or(0));
    Some(limit.saturating_sub(current.saturating_sub(files.iter().sum())))
}

/// The number behind a name at the beginning of a line.
fn number(file: &Path, name: &str) -> Option<u64> {
    let text = text(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(char::is_whitespace))?;
    line.split_whitespace().next()?.parse().ok()
}

fn text(file: &Path) -> Option<String> {
    read_text(file, LONGEST).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_its_memory() {
        let memory = SystemMemory::read().unwrap();
        assert!(0 < memory.used && memory.used < memory.total && memory.available < memory.total, "{memory:?}");
        let more = vec![1_u8; 64 << 20];
        let after = SystemMemory::read().unwrap();
        assert!(after.used >= memory.used + (48 << 20), "{memory:?} {after:?} {}", more.len());
    }

    #[test]
    fn the_strictest_control_group_counts_without_its_cache() {
        let root = tempfile::tempdir().unwrap();
        let group = |path: &str, limit: &str, current: &str, statistics: &str| {
            let folder = root.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in [("memory.max", limit), ("memory.current", current), ("memory.stat", statistics)] {
                fs::write(folder.join(name), text).unwrap();
            }
        };
        group("job", "5000\n", "2000\n", "anon 1500\nactive_file_thp 7\nactive_file 300\ninactive_file 200\n");
        group("job/step", "max\n", "1000\n", "anon 1000\n");
        fs::create_dir_all(root.path().join("job/step/task")).unwrap();
        let left = |groups: &str| left_by_groups(root.path(), groups);
        assert_eq!(left("0::/job/step/task\n"), Some(3500));
        group("job/step", "1200\n", "1000\n", "");
        assert_eq!(left("1:name=systemd:/\n0::/job/step/task\n"), Some(200));
        group("job", "100\n", "2000\n", "");
        assert_eq!(left("0::/job/step"), Some(0));
        // Without a limit, or with the groups of version 1 alone.
        for unlimited in ["0::/", "0::/other", "4:memory:/job", ""] {
            assert_eq!(left(unlimited), None, "{unlimited}");
        }
    }
}
