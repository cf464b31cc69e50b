//! Models and LoRAs of few steps that are known by their name on the hub or their hash.

use std::path::Path;

use ae_checkpoint::Lora;
use ae_pipeline::{KnownPreset, Preset};
use ae_settings::LoraRef;

use crate::{FileHashes, FoundModel};

/// Models by their names on the hub, the short ones too.
const MODELS: [(&str, Preset); 4] = [
    ("sd-turbo", Preset::Turbo),
    ("stabilityai/sd-turbo", Preset::Turbo),
    ("lcm-dreamshaper", Preset::Lcm),
    ("SimianLuo/LCM_Dreamshaper_v7", Preset::Lcm),
];

/// A LoRA that people rename as they like.
struct KnownLora {
    repo: &'static str,
    /// Files of another size are not hashed.
    bytes: u64,
    sha256: &'static str,
    preset: Preset,
}

const LORAS: [KnownLora; 1] = [KnownLora {
    repo: "latent-consistency/lcm-lora-sdv1-5",
    bytes: 134_621_556,
    sha256: "8f90d840e075ff588a58e22c6586e2ae9a6f7922996ee6649a7f01072333afe4",
    preset: Preset::Lcm,
}];

/// The preset that a model and its LoRAs are known to need; that of a LoRA first.
pub(crate) fn known_preset(found: &FoundModel, loras: &[LoraRef]) -> Option<KnownPreset> {
    let of_lora = loras.iter().find_map(|lora| {
        let known = known_lora(&Lora::files(&lora.name).ok()?.weights)?;
        let reason = format!("'{}' has the hash of {}", lora.name, known.repo);
        Some(KnownPreset::of_lora(known.preset, reason))
    });
    // A name on the hub has a revision; `ORG/NAME/FILE` and `ORG/NAME:FOLDER` are parts of the model.
    let of_model = || {
        let name = found.revision.as_ref().and(found.name.as_deref())?.split('@').next()?;
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with(['/', ':']);
        let (repo, preset) = MODELS.iter().find(|(repo, _)| name.strip_prefix(repo).is_some_and(is_part))?;
        Some(KnownPreset::of_model(*preset, format!("it is the hub's {repo}")))
    };
    of_lora.or_else(of_model)
}

fn known_lora(path: &Path) -> Option<&'static KnownLora> {
    let bytes = std::fs::metadata(path).ok()?.len();
    let known = LORAS.iter().find(|known| known.bytes == bytes)?;
    (FileHashes::from_env().sha256(path).ok()? == known.sha256).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_model(name: &str, revision: Option<&str>) -> Option<Preset> {
        let mut found = FoundModel::at(Path::new("x"));
        found.name = Some(name.to_owned());
        found.revision = revision.map(str::to_owned);
        known_preset(&found, &[]).map(|known| known.preset)
    }

    #[test]
    fn models_are_known_by_their_names_on_the_hub() {
        for (name, expected) in [
            ("sd-turbo", Some(Preset::Turbo)),
            ("stabilityai/sd-turbo@main", Some(Preset::Turbo)),
            ("stabilityai/sd-turbo/sd_turbo.safetensors", Some(Preset::Turbo)),
            ("lcm-dreamshaper", Some(Preset::Lcm)),
            ("stabilityai/sd-turbo-2", None),
            ("me/sd-turbo", None),
            ("sd15", None),
        ] {
            assert_eq!(of_model(name, Some("c0ffee")), expected, "{name}");
            // A folder of this name may be anything.
            assert_eq!(of_model(name, None), None, "{name}");
        }
    }

    /// In the hub's cache a file lies under its hash, which need not be computed.
    #[cfg(unix)]
    #[test]
    fn loras_are_known_by_their_hash_and_not_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("models--latent-consistency--lcm-lora-sdv1-5");
        std::fs::create_dir_all(repo.join("blobs")).unwrap();
        std::fs::create_dir_all(repo.join("snapshots/c0ffee")).unwrap();
        let sized = |path: &Path, bytes| std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
        let link = repo.join("snapshots/c0ffee/any.safetensors");
        sized(&repo.join("blobs").join(LORAS[0].sha256), LORAS[0].bytes);
        std::os::unix::fs::symlink(repo.join("blobs").join(LORAS[0].sha256), &link).unwrap();
        let preset = |path: &Path| {
            let lora = LoraRef::new(path.display().to_string(), 1.0);
            known_preset(&FoundModel::at(Path::new("x")), &[lora])
        };
        let known = preset(&link).unwrap();
        assert_eq!((known.preset, known.of_lora), (Preset::Lcm, true));
        assert!(known.reason.contains("any.safetensors") && known.reason.ends_with("lcm-lora-sdv1-5"), "{known:?}");
        let named = folder.path().join("lcm-lora-sdv1-5.safetensors");
        sized(&named, 100);
        assert_eq!(preset(&named), None);
        assert_eq!(preset(Path::new("no/such/file")), None);
    }
}
