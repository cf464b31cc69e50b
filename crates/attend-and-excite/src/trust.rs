//! What came of the tests of devices, kept in the user's cache.

use std::fs::{self, File};
use std::path::PathBuf;

use ae_tensor::{Backend, DeviceInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::user_folders;

/// The verdicts, one file each, by device, driver and version of the program: what changes one of them makes a new test. A folder that
/// cannot be written costs time and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts {
    folder: Option<PathBuf>,
}

/// What is kept of a device.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    device: String,
    name: String,
    driver: Option<String>,
    version: String,
    /// What is wrong on it.
    pub(crate) wrong: Option<String>,
}

impl Verdict {
    fn of(info: &DeviceInfo, wrong: Option<&str>) -> Self {
        Self {
            device: info.spec.to_string(),
            name: info.name.clone(),
            driver: info.driver.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wrong: wrong.map(str::to_owned),
        }
    }
}

impl Verdicts {
    #[cfg(test)]
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Those in `attend-and-excite-rs/devices` of the user's cache.
    pub(crate) fn from_env() -> Self {
        Self { folder: user_folders::cache("devices") }
    }

    /// What came of the test of a device; `None` where it has not been tested.
    pub(crate) fn of(&self, info: &DeviceInfo) -> Option<Verdict> {
        let text = ae_files::read_file(&self.place(info, "json")?, 1 << 16).ok()?;
        let verdict: Verdict = serde_json::from_slice(&text).ok()?;
        (verdict == Verdict::of(info, verdict.wrong.as_deref())).then_some(verdict)
    }

    /// Keeps what is wrong on a device, or that nothing is. The CPU is what others are compared with.
    pub(crate) fn keep(&self, info: &DeviceInfo, wrong: Option<&str>) {
        let Some(place) = self.place(info, "json").filter(|_| info.spec.backend() != Backend::Cpu) else { return };
        let verdict = Verdict::of(info, wrong);
        // Without it the device is tested again.
        let _ = ae_files::write_file(&place, |file| Ok(serde_json::to_writer_pretty(file, &verdict)?));
    }

    /// Waits until no other process tests the device. The system takes the lock back where the holder dies.
    pub(crate) fn lock(&self, info: &DeviceInfo) -> Option<File> {
        let place = self.place(info, "lock")?;
        fs::create_dir_all(place.parent()?).ok()?;
        let file = File::options().create(true).append(true).open(place).ok()?;
        file.lock().ok()?;
        Some(file)
    }

    fn place(&self, info: &DeviceInfo, end: &str) -> Option<PathBuf> {
        let key = serde_json::to_vec(&Verdict::of(info, None)).ok()?;
        Some(self.folder.as_ref()?.join(format!("{:x}.{end}", Sha256::digest(key))))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ae_tensor::{DeviceSpec, FloatType};

    use super::*;

    pub(crate) fn gpu(spec: &str, driver: &str) -> DeviceInfo {
        DeviceInfo {
            spec: spec.parse::<DeviceSpec>().unwrap(),
            name: "Made-up 1".to_owned(),
            driver: Some(driver.to_owned()),
            memory: None,
            largest_allocation: None,
            float_types: FloatType::ALL.to_vec(),
        }
    }

    #[test]
    fn a_verdict_is_kept_by_device_and_driver() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = Verdicts::new(folder.path().join("new"));
        let (old, new, other) = (gpu("wgpu:0", "1.0"), gpu("wgpu:0", "1.1"), gpu("wgpu:1", "1.0"));
        assert_eq!(verdicts.of(&old), None);
        drop(verdicts.lock(&old).unwrap());
        verdicts.keep(&old, Some("'maximum' is wrong on it"));
        assert_eq!(verdicts.of(&old).unwrap().wrong.as_deref(), Some("'maximum' is wrong on it"));
        for untested in [&new, &other] {
            assert_eq!(verdicts.of(untested), None);
        }
        verdicts.keep(&old, None);
        assert_eq!(verdicts.of(&old).unwrap().wrong, None);
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_no_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = Verdicts::new(folder.path());
        let info = gpu("cuda:0", "x");
        verdicts.keep(&info, None);
        let place = verdicts.place(&info, "json").unwrap();
        let text = fs::read_to_string(&place).unwrap();
        for damaged in ["", "{}", "null", &text[..text.len() / 2], &text.replace(env!("CARGO_PKG_VERSION"), "0.0.0")] {
            fs::write(&place, damaged).unwrap();
            assert_eq!(verdicts.of(&info), None, "{damaged}");
        }
        fs::write(&place, &text).unwrap();
        assert_eq!(verdicts.of(&info).unwrap().wrong, None);
    }

    #[test]
    fn nothing_is_kept_of_the_cpu_and_where_there_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        Verdicts::new(folder.path()).keep(&gpu("cpu", "burn-flex"), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = Verdicts::default();
        nowhere.keep(&gpu("wgpu:0", "x"), None);
        assert_eq!(nowhere.of(&gpu("wgpu:0", "x")), None);
        assert!(nowhere.lock(&gpu("wgpu:0", "x")).is_none());
    }
}
