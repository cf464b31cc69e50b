//! A studio on another machine: what is drawn there as if it were drawn here.

mod address;
mod error;
mod events;
mod http;

use std::io::Cursor;
use std::path::Path;

use ae_files::png_chunks::TextChunks;
use ae_settings::{FileRef, Overrides, Settings};
use image::RgbImage;
use serde_json::{Map, Value, json};

use crate::read_image;
pub use error::RemoteError;
pub use events::RemoteEvent;
use http::Http;

/// A studio (`ae serve`) on another machine.
#[derive(Clone, Debug)]
pub struct RemoteStudio {
    http: Http,
    most_seeds: usize,
}

/// A job that is drawn there.
#[derive(Clone, Debug)]
pub struct RemoteJob {
    http: Http,
    id: String,
    seeds: Vec<u64>,
}

/// How a studio draws, beside the settings of a picture.
#[derive(Clone, Debug, Default)]
pub struct RemoteOptions {
    /// Also the plain picture of every seed.
    pub compare: bool,
    /// The id of one of its devices; `None`: the first.
    pub device: Option<String>,
    /// Each network is in memory only while it works. Where it is false, the studio does as it was started.
    pub low_memory: bool,
}

impl RemoteStudio {
    /// Asks a studio for its limits. The address is what `ae serve` prints, with its token or without: `http://HOST:7860/?token=TOKEN`.
    ///
    /// # Errors
    ///
    /// When it is no address, nobody answers, the token is not the one, or the answer is no studio's.
    pub fn connect(address: &str, token: Option<&str>) -> Result<Self, RemoteError> {
        let http = Http::new(address, token)?;
        let info = http.get("/api/info")?;
        let most_seeds = info["limits"]["max_seeds"].as_u64().and_then(|most| usize::try_from(most).ok());
        let most_seeds = most_seeds.filter(|most| *most > 0).ok_or_else(|| http.no_studio())?;
        Ok(Self { http, most_seeds })
    }

    /// Most seeds of one job.
    pub fn most_seeds(&self) -> usize {
        self.most_seeds
    }

    /// Makes settings those of the studio: images are sent to it, and of other files it is told their names, by which it may have
    /// them.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, or the studio refuses it.
    pub fn adapt(&self, given: &mut Overrides) -> Result<(), RemoteError> {
        for image in given.init_image.iter_mut().chain(&mut given.mask) {
            *image = self.send_image(image)?;
        }
        let loras = given.loras.iter_mut().flatten().map(|lora| &mut lora.name);
        let embeddings = given.embeddings.iter_mut().flatten().map(|embedding| &mut embedding.name);
        for name in loras.chain(embeddings).chain(given.vae.iter_mut().map(|vae| &mut vae.name)) {
            FileRef::new(name.as_str()).base_name().clone_into(name);
        }
        Ok(())
    }

    fn send_image(&self, file: &FileRef) -> Result<FileRef, RemoteError> {
        /// More than a studio takes.
        const LARGEST: u64 = 1 << 30;
        let path = Path::new(&file.name);
        // What is no image is named as it is here.
        read_image(path)?;
        let bytes = ae_files::read_file(path, LARGEST)
            .map_err(|error| RemoteError::Image(crate::Error::Image { path: path.to_owned(), cause: error.into() }))?;
        let format = image::guess_format(&bytes).map_or("image/png", |format| format.to_mime_type());
        let kept = self.http.post("/api/images", format, &bytes)?;
        let sha256 = kept["sha256"].as_str().map(str::to_owned);
        Ok(FileRef { name: file.base_name().to_owned(), sha256: Some(sha256.ok_or_else(|| self.http.no_studio())?) })
    }

    /// The settings that draw a picture of this program again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the studio refuses its settings.
    pub fn settings_of(&self, picture: &Path) -> Result<Overrides, RemoteError> {
        /// More than a studio takes.
        const LARGEST: u64 = 1 << 30;
        let unreadable = |error: std::io::Error| crate::Error::Image { path: picture.to_owned(), cause: error.into() };
        let bytes = ae_files::read_file(picture, LARGEST).map_err(|error| RemoteError::Image(unreadable(error)))?;
        let mut settings = self.http.post("/api/settings", "image/png", &bytes)?["settings"].take();
        let members = settings.as_object_mut().ok_or_else(|| self.http.no_studio())?;
        let seed = members.remove("seeds").and_then(|seeds| seeds.as_array()?.first().cloned());
        members.extend(seed.map(|seed| ("seed".to_owned(), seed)));
        for own in ["compare", "device"] {
            members.remove(own);
        }
        Overrides::from_json(&settings).map_err(|error| RemoteError::Refused {
            studio: self.http.shown().to_owned(),
            field: None,
            message: error.to_string(),
        })
    }

    /// Puts pictures into its queue: one of every seed.
    ///
    /// # Errors
    ///
    /// When it refuses the request, with its reason.
    pub fn submit(&self, given: &Overrides, seeds: &[u64], options: &RemoteOptions) -> Result<RemoteJob, RemoteError> {
        let mut request: Map<String, Value> = given.to_json();
        // They say who drew a picture; a device would be one of this machine.
        for record in ["format", "version", "seed", "device", "model_files", "revision"] {
            request.remove(record);
        }
        request.insert("seeds".to_owned(), json!(seeds));
        request.insert("compare".to_owned(), json!(options.compare));
        if let Some(device) = &options.device {
            request.insert("device".to_owned(), json!(device));
        }
        if options.low_memory {
            request.insert("low_memory".to_owned(), json!(true));
        }
        let body = Value::Object(request).to_string();
        let job = self.http.post("/api/generate", "application/json", body.as_bytes())?;
        let id = job["id"].as_str().ok_or_else(|| self.http.no_studio())?.to_owned();
        Ok(RemoteJob { http: self.http.clone(), id, seeds: seeds.to_vec() })
    }

    /// A file of a picture that it keeps: `picture.png`, `plain.png`, `report.html` or `run.json`.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn file(&self, entry: &str, name: &str) -> Result<Vec<u8>, RemoteError> {
        self.http.bytes(&format!("/api/gallery/{entry}/{name}"))
    }
}

impl RemoteStudio {
    /// A picture that it keeps: `picture.png` or `plain.png`.
    ///
    /// # Errors
    ///
    /// When it is not there, or is no picture of this program.
    pub fn picture(&self, entry: &str, name: &str) -> Result<RemotePicture, RemoteError> {
        let file = self.file(entry, name)?;
        let image = image::load_from_memory(&file).map_err(|_| self.http.no_studio())?.into_rgb8();
        let text = TextChunks::open(Cursor::new(&file)).and_then(|mut chunks| chunks.get("settings"));
        let text = text.ok().flatten().ok_or_else(|| self.http.no_studio())?;
        let settings = serde_json::from_str(&text).map_err(|_| self.http.no_studio())?;
        let settings = Overrides::from_json(&settings).and_then(|given| Settings::combine([&given]));
        Ok(RemotePicture { settings: settings.map_err(|_| self.http.no_studio())?, image, file })
    }
}

/// A picture that was drawn there.
#[derive(Clone, Debug)]
pub struct RemotePicture {
    /// The PNG file.
    pub file: Vec<u8>,
    /// Its pixels.
    pub image: RgbImage,
    /// All that draws it again, with the model as the studio calls it.
    pub settings: Settings,
}

impl RemoteJob {
    /// Ends it; what was finished stays there.
    ///
    /// # Errors
    ///
    /// When the studio does not answer.
    pub fn cancel(&self) -> Result<(), RemoteError> {
        self.http.delete(&format!("/api/jobs/{}", self.id))
    }

    /// Hears of everything up to its end. A connection that breaks is made again.
    ///
    /// # Errors
    ///
    /// When it fails, is cancelled, or the studio does not answer any more; and what `observe` returns.
    pub fn follow<E: From<RemoteError>>(
        &self,
        observe: &mut dyn FnMut(RemoteEvent<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        events::follow(&self.http, &self.id, &self.seeds, observe)
    }
}
