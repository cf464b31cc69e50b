//! Deleted entries, which can be taken back for a day.
//!
//! Deleting and restoring are one rename each, so that an entry is in the gallery or in the trash, whole, whatever happens.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ae_files::{remove_folder, remove_unfinished};

use super::{Gallery, Listing, MOST, is_id, read_own};
use crate::PICTURE_NAMES;

/// Beside the entries; no entry has this name.
const TRASH: &str = ".trash";
/// How long a deleted entry can be taken back at least.
const KEPT: Duration = Duration::from_hours(24);

impl Gallery {
    /// Removes what a killed server had not finished to remove, and what is too old.
    pub(super) fn tidy_trash(&self) {
        // It bothers nobody, and is tried again the next time.
        let _ = remove_unfinished(&self.folder.join(TRASH));
        let _ = self.empty_trash(KEPT);
    }

    /// Moves an entry into the trash; false when there is none. What has been there for more than a day goes for good.
    pub(crate) fn discard(&self, id: &str) -> io::Result<bool> {
        let Some(folder) = self.entry_folder(id) else { return Ok(false) };
        let trash = self.folder.join(TRASH);
        fs::create_dir_all(&trash)?;
        self.tidy_trash();
        is_moved(fs::rename(folder, trash.join(format!("{:013}.{id}", now()))))
    }

    /// Takes an entry back; false when it is not in the trash.
    pub(crate) fn restore(&self, id: &str) -> io::Result<bool> {
        let Some(folder) = self.trashed_folder(id) else { return Ok(false) };
        is_moved(fs::rename(folder, self.folder.join(id)))
    }

    /// Removes for good what has been in the trash for longer than an age.
    pub(crate) fn empty_trash(&self, age: Duration) -> io::Result<()> {
        let oldest = now().saturating_sub(age.as_millis());
        for (name, _) in self.trashed()? {
            let since = name.split('.').next().and_then(|since| since.parse::<u128>().ok());
            if since.is_some_and(|since| since <= oldest) {
                remove_folder(&self.folder.join(TRASH).join(name))?;
            }
        }
        Ok(())
    }

    /// The entries in the trash, the last deleted first.
    pub(crate) fn list_trash(&self) -> io::Result<Listing> {
        let all = self.trashed()?;
        let trash = self.folder.join(TRASH);
        let found = all.iter().filter_map(|(name, id)| self.read(id, &trash.join(name)));
        Ok(Listing::of(all.len(), MOST, found))
    }

    /// The picture of an entry of the trash.
    pub(crate) fn trashed_picture(&self, id: &str) -> Option<Vec<u8>> {
        read_own(&self.trashed_folder(id)?, PICTURE_NAMES[0])
    }

    /// Where an entry lies in the trash.
    fn trashed_folder(&self, id: &str) -> Option<PathBuf> {
        let (name, _) = self.trashed().ok()?.into_iter().find(|(_, known)| known == id)?;
        Some(self.folder.join(TRASH).join(name))
    }

    /// Folders of the trash, each with the name of its entry, the last deleted first.
    fn trashed(&self) -> io::Result<Vec<(String, String)>> {
        let entries = match fs::read_dir(self.folder.join(TRASH)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let id = name.split_once('.').map(|(_, id)| id.to_owned());
            found.extend(id.filter(|id| is_id(id)).map(|id| (name, id)));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found)
    }
}

fn is_moved(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true),
    }
}

/// Milliseconds since 1970.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

#[cfg(test)]
mod tests {
    use super::super::tests::drawn;
    use super::*;
    use crate::Limits;

    fn trash_ids(gallery: &Gallery) -> Vec<String> {
        gallery.trashed().unwrap().into_iter().map(|(_, id)| id).collect()
    }

    const ONE: &str = "1700000000000-000000-000";
    const OTHER: &str = "1700000000001-000001-000";

    #[test]
    fn what_is_deleted_can_be_taken_back_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        for id in [ONE, OTHER] {
            gallery.add(id, &drawn()).unwrap();
        }
        assert!(gallery.set_favourite(ONE, true).unwrap());
        let before = gallery.entry(ONE).unwrap();
        assert!(gallery.discard(ONE).unwrap() && !gallery.discard(ONE).unwrap());
        assert_eq!((gallery.ids().unwrap(), trash_ids(&gallery)), (vec![OTHER.to_owned()], vec![ONE.to_owned()]));
        assert!(gallery.entry(ONE).is_none());
        drop(gallery);
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        assert_eq!(gallery.list_trash().unwrap().entries, std::slice::from_ref(&before));
        assert!(gallery.restore(ONE).unwrap() && !gallery.restore(ONE).unwrap());
        assert_eq!(gallery.entry(ONE), Some(before));
        assert!(trash_ids(&gallery).is_empty());
    }

    #[test]
    fn the_trash_is_emptied_after_a_day_and_loses_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        for id in [ONE, OTHER] {
            gallery.add(id, &drawn()).unwrap();
            gallery.discard(id).unwrap();
        }
        let trash = place.path().join(TRASH);
        fs::write(trash.join("notes.txt"), "mine").unwrap();
        let old = gallery.trashed_folder(ONE).unwrap();
        fs::rename(old, trash.join(format!("{:013}.{ONE}", now() - KEPT.as_millis() - 1000))).unwrap();
        drop(gallery);
        let gallery = Gallery::open(place.path(), &Limits::default()).unwrap();
        assert_eq!(trash_ids(&gallery), [OTHER]);
        gallery.empty_trash(Duration::ZERO).unwrap();
        assert!(trash_ids(&gallery).is_empty() && trash.join("notes.txt").exists());
    }
}
