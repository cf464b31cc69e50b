use std::path::{Path, PathBuf};

use ae_pipeline::ModelSource;
use ae_settings::{FileRef, Overrides, Preset};

use crate::{Error, FileHashes, FileSearch, FileSearchError, FoundModel, FoundSettings, read_settings};

/// A picture that is drawn again: where its files are looked for.
#[derive(Debug)]
pub struct Redraw {
    /// Folders of models, of LoRAs, of embeddings and of autoencoders. The current folder is searched too.
    pub folders: [Vec<PathBuf>; 4],
    /// Names of values that are left out where they cannot be honoured.
    pub ignored: Vec<String>,
}

impl Redraw {
    /// The settings that draw a picture again, with `given` over them: every file is found by its hash, then by its name.
    ///
    /// # Errors
    ///
    /// When the picture has no settings that can be used, a value of another program cannot be honoured, or a file is missing or
    /// another one.
    pub fn settings(&self, picture: &Path, given: &Overrides) -> Result<Overrides, Error> {
        let mut settings = match read_settings(picture)? {
            FoundSettings::Settings(settings) => settings,
            FoundSettings::Foreign { reading, .. } => reading.settle(given, &self.ignored)?,
        };
        if let Some(method) = given.method {
            method.take_from(&mut settings);
        }
        match given.preset {
            Some(preset) => preset.take_from(&mut settings),
            // What was drawn without one is not drawn with the one that the model needs.
            None => settings.preset = settings.preset.or(Some(Preset::Off)),
        }
        let [models, loras, embeddings, vaes] = &self.folders;
        if settings.strength.is_some() && settings.init_image.is_none() && given.init_image.is_none() {
            // The first format wrote the strength of image-to-image alone; today's always has one.
            if settings.format.is_none() {
                return Err(Error::NoInitImage { picture: picture.to_owned() });
            }
        }
        if given.loras.is_none() {
            for lora in settings.loras.iter_mut().flatten() {
                lora.name = find(loras, &lora.name, lora.sha256.take())?;
                if let Some(expected) = lora.config_sha256.take() {
                    check_config(&lora.name, expected)?;
                }
            }
        }
        if given.embeddings.is_none() {
            for embedding in settings.embeddings.iter_mut().flatten() {
                embedding.name = find(embeddings, &embedding.name, embedding.sha256.take())?;
            }
        }
        if let Some(vae) = settings.vae.as_mut().filter(|_| given.vae.is_none()) {
            vae.name = autoencoder(&find(vaes, &vae.name, vae.sha256.take())?, &vae.name);
        }
        let images = [(&mut settings.init_image, &given.init_image), (&mut settings.mask, &given.mask)];
        for (image, given) in images {
            if let Some(image) = image.as_mut().filter(|_| given.is_none()) {
                image.name = find(&[], &image.name, image.sha256.take())?;
            }
        }
        if given.model.is_none() {
            settings.model = model(models, &settings)?;
        }
        // They are of the picture, not of what is drawn now.
        (settings.format, settings.version, settings.device) = (None, None, None);
        (settings.model_files, settings.revision) = (None, None);
        Ok(settings.over(given))
    }
}

/// What `--model` takes for the model of settings: a path, or a name of the hub with its revision.
fn model(folders: &[PathBuf], settings: &Overrides) -> Result<Option<String>, Error> {
    let Some(name) = &settings.model else { return Ok(None) };
    let files = settings.model_files.as_deref().unwrap_or_default();
    if FoundModel::find_local(name).is_ok_and(|found| matches!(found.source, ModelSource::Embedded(_))) {
        return Ok(Some(name.clone()));
    }
    if let Some(revision) = &settings.revision {
        // `NAME@REVISION:FOLDER` is `NAME:FOLDER@REVISION`.
        let (name, behind) = name.split_once('@').unwrap_or((name.as_str(), ""));
        let folder = behind.find(':').map_or("", |colon| &behind[colon..]);
        return Ok(Some(format!("{name}{folder}@{revision}")));
    }
    let search = search(folders)?;
    let found = if files.is_empty() { search.find(&FileRef::new(name)) } else { search.find_model(files) };
    Ok(Some(found?.display().to_string()))
}

/// The folder of an autoencoder whose weights were found, where the settings name a folder: its configuration lies there.
fn autoencoder(weights: &str, name: &str) -> String {
    let is_folder = !FileSearch::is_file_of_weights(name);
    let folder = Path::new(weights).parent().filter(|folder| is_folder && folder.join("config.json").is_file());
    folder.map_or(weights.to_owned(), |folder| folder.display().to_string())
}

/// Whether the config beside PEFT's weights, which has their alpha, is the one that the settings name.
pub(crate) fn check_config(weights: &str, expected: String) -> Result<(), Error> {
    const CONFIG: &str = "adapter_config.json";
    let path = Path::new(weights).with_file_name(CONFIG);
    if !path.is_file() {
        let folders = path.parent().map(|folder| format!("'{}'", folder.display())).unwrap_or_default();
        return Err(FileSearchError::Missing { name: CONFIG.to_owned(), sha256: Some(expected), folders }.into());
    }
    match FileHashes::from_env().differs(&path, &expected) {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(FileSearchError::Different { path, found, expected }.into()),
        Err(error) => Err(FileSearchError::Read { path, error }.into()),
    }
}

pub(crate) fn find(folders: &[PathBuf], name: &str, sha256: Option<String>) -> Result<String, Error> {
    let file = FileRef { name: name.to_owned(), sha256 };
    Ok(search(folders)?.find(&file)?.display().to_string())
}

fn search(folders: &[PathBuf]) -> Result<FileSearch, Error> {
    let search = FileSearch::new(folders).with_flat_folder(".");
    #[cfg(feature = "hub")]
    let search = search.with_hub_cache(&ae_hub::Hub::from_env()?)?;
    Ok(search)
}
