/// The peak resident memory of this process in bytes, where the system tells it (Linux, proc(5)).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Sets the [peak](peak_memory) back to what is resident now.
pub fn reset_peak_memory() {
    // Where the system has no such file, there is no peak either.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
