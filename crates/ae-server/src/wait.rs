//! Requests that are answered with their pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::PICTURE_NAMES;
use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::job::{JobState, JobView};

/// A job that has ended, with its pictures.
pub(crate) struct Finished {
    pub(crate) job: JobView,
    /// PNG files.
    pub(crate) pictures: Vec<Vec<u8>>,
}

impl Finished {
    /// The seed of every picture: pictures can be skipped.
    pub(crate) fn seeds(&self) -> Vec<u64> {
        let index = |id: &String| id.rsplit('-').next().and_then(|index| index.parse::<usize>().ok());
        let seeds = self.job.pictures.iter().filter_map(index).filter_map(|index| self.job.request.seeds.get(index));
        seeds.copied().collect()
    }

    /// The pictures as texts.
    pub(crate) fn base64(&self) -> Vec<String> {
        self.pictures.iter().map(|picture| STANDARD.encode(picture)).collect()
    }
}

impl App {
    /// Waits for the end of a job.
    ///
    /// # Errors
    ///
    /// Why it failed, or was cancelled before a picture was finished.
    pub(crate) async fn finish(&self, id: &str) -> Result<Finished, ApiError> {
        let job = self.queue.wait(id).await?;
        let is_empty = job.pictures.is_empty();
        match job.state {
            JobState::Done => {}
            JobState::Cancelled if !is_empty => {}
            _ => {
                return Err(ApiError::Failed(job.error.unwrap_or_else(|| "the job was cancelled".to_owned())));
            }
        }
        let (ids, gallery) = (job.pictures.clone(), self.gallery.clone());
        let read = move || ids.iter().map(|id| gallery.picture(id, PICTURE_NAMES[0])).collect::<Option<Vec<_>>>();
        let removed = || ApiError::Failed("the pictures were removed meanwhile".to_owned());
        let pictures = blocking(read).await?.ok_or_else(removed)?;
        Ok(Finished { job, pictures })
    }
}
