use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ae_files::{read_file, remove_unfinished, write_file};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The folder in that of the gallery.
const FOLDER: &str = ".queue";
/// The file in it with the ids of jobs whose order was changed.
const ORDER: &str = "order";
/// Bytes of a job, above what a request may have.
const LARGEST: u64 = 64 << 20;

/// The jobs that have not ended, on the disk: a file for each, so that a server that is started again goes on with them.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// A job as it is on the disk.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) created: u64,
    /// Whose it is.
    pub(super) client: Option<IpAddr>,
    /// As it is posted.
    pub(super) request: Value,
    /// Entries of the gallery that were finished, whether they are still there or not.
    pub(super) pictures: Vec<String>,
}

impl Store {
    pub(crate) fn new(gallery: &Path) -> Self {
        Self { folder: gallery.join(FOLDER) }
    }

    pub(super) fn save(&self, id: &str, job: &Kept) -> io::Result<()> {
        write_json(&self.path(id), job)
    }

    /// Forgets a job.
    pub(super) fn remove(&self, id: &str) {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(job = id, reason = %error, "a job that has ended stays on the disk");
            }
            _ => {}
        }
    }

    /// Keeps an order of jobs that is not the one in which they came.
    pub(super) fn keep_order(&self, ids: &[String]) -> io::Result<()> {
        write_json(&self.folder.join(ORDER), ids)
    }

    /// The order that was kept; a job that is not in it came later.
    fn order(&self) -> Vec<String> {
        let read = read_file(&self.folder.join(ORDER), LARGEST);
        match read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
            Ok(order) => order,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::error!(reason = %error, "the order of the jobs on the disk cannot be read");
                Vec::new()
            }
        }
    }

    /// All jobs by their names: in the order that was kept, the others behind them, the oldest first. What cannot be read is named in
    /// the log, and stays.
    pub(super) fn load(&self) -> Vec<(String, Kept)> {
        // What a killed server had not finished; to tidy up is no reason not to go on.
        let _ = remove_unfinished(&self.folder);
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(id) = name.strip_suffix(".json").filter(|id| is_id(id)) else { continue };
            let read = read_file(&entry.path(), LARGEST);
            match read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
                Ok(job) => jobs.push((id.to_owned(), job)),
                Err(error) => tracing::error!(job = id, reason = %error, "a job on the disk cannot be read"),
            }
        }
        let order = self.order();
        let place = |id: &String| order.iter().position(|known| known == id).unwrap_or(order.len());
        jobs.sort_by_cached_key(|(id, _)| (place(id), id.clone()));
        jobs
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

fn write_json(path: &Path, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    write_file(path, |file| file.write_all(&json))
}

/// Whether a text is as the names of jobs.
fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, number)| {
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        digits(time, 13) && digits(number, 6)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_come_back_in_their_order_and_damaged_ones_stay_where_they_are() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path());
        assert_eq!(store.load(), []);
        let job =
            |created| Kept { created, client: None, request: json!({ "prompt": "ä" }), pictures: vec!["x".into()] };
        for id in ["1700000000002-000001", "1700000000001-000002"] {
            store.save(id, &job(id[..13].parse().unwrap())).unwrap();
        }
        fs::write(place.path().join(".queue/1700000000000-000000.json"), "[").unwrap();
        fs::write(place.path().join(".queue/notes.json"), "{}").unwrap();
        let loaded = store.load();
        let mut expected = [("1700000000001-000002", 1_700_000_000_001), ("1700000000002-000001", 1_700_000_000_002)];
        assert_eq!(loaded, expected.map(|(id, created)| (id.to_owned(), job(created))));
        store.keep_order(&["1600000000000-000000", "1700000000002-000001"].map(str::to_owned)).unwrap();
        expected.reverse();
        assert_eq!(store.load(), expected.map(|(id, created)| (id.to_owned(), job(created))));
        fs::write(place.path().join(".queue/order"), "{").unwrap();
        assert_eq!(store.load(), loaded);
        store.remove("1700000000001-000002");
        store.remove("1700000000001-000002");
        assert_eq!(store.load().len(), 1);
        assert!(place.path().join(".queue/1700000000000-000000.json").exists());
    }
}
