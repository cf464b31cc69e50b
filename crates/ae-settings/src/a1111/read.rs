//! The text as options.

use std::str::FromStr;

use super::fields::Parts;
use super::prompt::{Networks, syntax, take_networks};
use super::sampler::{Sampler, differences, timestep_spacing};
use super::unsupported::{Unsupported, UnsupportedValues};
use super::{MASK_INVERTED, ONLY_MASKED, OWN_KEY, OWN_VERSION, keys};
use crate::{EmbeddingRef, FileRef, LongPrompts, LoraRef, Method, NoiseKind, Overrides, PromptSyntax};

/// The fields without which a text says too little, and the option that replaces each.
const NEEDED: [(&str, &[&str]); 6] = [
    ("Steps", &["steps"]),
    ("Seed", &["seed"]),
    ("Sampler", &["scheduler"]),
    ("CFG scale", &["guidance_scale"]),
    ("Size", &["height", "width"]),
    ("Model", &["model"]),
];
/// So many of them are needed where this program wrote the text.
const NEEDED_OF_OURS: usize = 2;

/// The fields that say that there was a mask.
const OF_MASKS: [&str; 4] = ["Mask blur", "Mask mode", "Inpaint area", "Masked area padding"];

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// The options that it gives. The hashes of files are short: the first digits of a SHA-256.
    pub overrides: Overrides,
    /// The values that change the picture and cannot be honoured.
    pub unsupported: Vec<Unsupported>,
}

impl Reading {
    /// The options, if all values are honoured, replaced by options of `given`, or named by `ignored`.
    ///
    /// # Errors
    ///
    /// [`UnsupportedValues`] names the others.
    pub fn settle(self, given: &Overrides, ignored: &[impl AsRef<str>]) -> Result<Overrides, UnsupportedValues> {
        let is_settled =
            |value: &Unsupported| value.is_settled(given) || ignored.iter().any(|name| value.is_named(name.as_ref()));
        let values: Vec<_> = self.unsupported.into_iter().filter(|value| !is_settled(value)).collect();
        if !values.is_empty() {
            return Err(UnsupportedValues { values });
        }
        let mut overrides = self.overrides;
        if overrides.mask.is_none() && given.mask.is_none() {
            // What was said of a mask is ignored with it.
            (overrides.mask_blur, overrides.mask_padding, overrides.mask_invert) = (None, None, None);
        }
        Ok(overrides)
    }
}

/// Reads the text of a picture.
///
/// A text of another program implies what AUTOMATIC1111's does: plain sampling, its prompt syntax, its timesteps, and the
/// generator of CUDA unless it says `RNG: CPU`. LoRAs and textual inversions are options by their names, without endings.
///
/// Nothing is an error here: what cannot be read, and what is missing, is in [`Reading::unsupported`].
pub fn read(text: &str) -> Reading {
    let Parts { prompt, negative_prompt, fields } = Parts::of(text);
    Fields(fields).read(&prompt, negative_prompt)
}

struct Fields(Vec<(String, String)>);

impl Fields {
    /// A value; of several with one name the last, as in AUTOMATIC1111's program.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn read(&self, prompt: &str, negative_prompt: String) -> Reading {
        let is_ours = self.get("Version").is_some_and(|version| version.starts_with(OWN_VERSION));
        let Networks { prompt, loras, mut unsupported } = take_networks(prompt);
        if self.get("Emphasis") == Some("None") {
            unsupported.extend(syntax(&prompt, false));
            unsupported.extend(syntax(&negative_prompt, true));
        }
        // What a text says by saying nothing.
        let mut read = Overrides {
            method: Some(Method::StableDiffusion),
            rng: Some(NoiseKind::TorchCuda),
            prompt_syntax: Some(if is_ours { PromptSyntax::Plain } else { PromptSyntax::A1111 }),
            long_prompts: Some(if is_ours { LongPrompts::Cut } else { LongPrompts::Chunks }),
            clip_skip: Some(0),
            vae_tiling: Some(false),
            prompt: Some(prompt),
            negative_prompt: Some(negative_prompt),
            ..Overrides::default()
        };
        self.read_files(&mut read, loras);

        let sampler = self.get("Sampler").map(|name| Sampler::of(name, self.get("Schedule type"))).unwrap_or_default();
        read.scheduler = sampler.scheduler;
        read.sigmas = sampler.sigmas.filter(|sigmas| !is_ours || *sigmas != crate::SigmaSpacing::Normal);
        if !is_ours {
            read.timestep_spacing = sampler.scheduler.and_then(timestep_spacing);
            unsupported.extend(differences(sampler.scheduler, sampler.sigmas));
        }
        unsupported.extend(sampler.unsupported);

        let eta = self.get("Eta DDIM").and_then(|eta| eta.parse().ok()).unwrap_or_default();
        let draws_noise = sampler.scheduler.is_none_or(|scheduler| scheduler.draws_noise(eta));
        let varies = self.get("Variation seed strength").is_none_or(|strength| strength.parse() != Ok(0.0));
        let mut own = Overrides::default();
        for (name, value) in &self.0 {
            let wrong = if name == OWN_KEY {
                own_options(value).map(|options| own = options).err()
            } else if let Some(taken) = take(&mut read, name, value) {
                taken.err().map(str::to_owned)
            } else {
                unsupported.extend(keys::judge(name, value, draws_noise, varies));
                None
            };
            let options = NEEDED.iter().find(|(field, _)| field == name).map_or(&[][..], |(_, options)| options);
            unsupported.extend(wrong.map(|reason| Unsupported::new(name, value, reason).settled_by(options)));
        }
        if let Some(strength) = self.get("Denoising strength") {
            // With a second pass it is the strength of that.
            if self.0.iter().any(|(name, _)| name.starts_with("Hires") || name == "First pass size") {
                read.strength = None;
            } else {
                let reason =
                    "the picture was made from another one, which its parameters do not name: give the initial image";
                unsupported.push(Unsupported::new("Denoising strength", strength, reason).settled_by(&["init_image"]));
            }
        }

        if let Some((name, value)) = self.0.iter().find(|(name, _)| OF_MASKS.contains(&name.as_str())) {
            let reason = "a part of the picture was drawn anew by a mask, which its parameters do not name, and which that program \
                          blends otherwise: give the mask";
            unsupported.push(Unsupported::new(name, value, reason).settled_by(&["mask"]));
        }

        let needed = if is_ours { &NEEDED[..NEEDED_OF_OURS] } else { &NEEDED };
        for (name, options) in needed {
            if self.get(name).is_none() && !(*name == "Model" && self.get("Model hash").is_some()) {
                unsupported.push(Unsupported::missing(name, options));
            }
        }
        unsupported.retain(|value| !value.is_settled(&own));
        Reading { overrides: read.over(&own), unsupported }
    }

    /// Model, VAE, LoRAs and textual inversions, with their hashes.
    fn read_files(&self, read: &mut Overrides, mut loras: Vec<LoraRef>) {
        let file = |name: &str, hash: &str| {
            let hash = self.get(hash);
            let sha256 = hash.filter(|hash| is_hash(hash)).map(str::to_lowercase);
            let name = self.get(name).or(sha256.as_deref())?.to_owned();
            Some(FileRef { name, sha256 })
        };
        if let Some(model) = file("Model", "Model hash") {
            read.model = Some(model.name.clone());
            read.model_files = Some(vec![model]);
        }
        read.vae = file("VAE", "VAE hash").filter(|vae| !["None", "Automatic"].contains(&vae.name.as_str()));

        let hashes = |name| self.get(name).map(hashes).unwrap_or_default();
        let lora_hashes = hashes("Lora hashes");
        for lora in &mut loras {
            let alias = lora.name.replace([':', ','], "");
            lora.sha256 = lora_hashes.iter().find(|(name, _)| *name == alias).map(|(_, hash)| hash.to_lowercase());
        }
        read.loras = (!loras.is_empty()).then_some(loras);
        let mut embeddings: Vec<EmbeddingRef> = Vec::new();
        for (name, hash) in hashes("TI hashes") {
            if embeddings.iter().all(|known| known.name != name) {
                let name = name.to_owned();
                embeddings.push(EmbeddingRef { token: Some(name.clone()), sha256: Some(hash.to_lowercase()), name });
            }
        }
        read.embeddings = (!embeddings.is_empty()).then_some(embeddings);
    }
}

/// Reads the value of a field that is an option. None where it is not.
fn take(read: &mut Overrides, name: &str, value: &str) -> Option<Result<(), &'static str>> {
    fn number<T: FromStr>(value: &str, option: &mut Option<T>) -> Result<(), &'static str> {
        *option = value.parse().ok();
        option.as_ref().map(drop).ok_or("expected a number")
    }
    Some(match name {
        "Steps" => number(value, &mut read.steps),
        "Seed" => number(value, &mut read.seed),
        "CFG scale" => number(value, &mut read.guidance_scale),
        "Denoising strength" => number(value, &mut read.strength),
        "Eta DDIM" => number(value, &mut read.eta),
        "Mask blur" => number(value, &mut read.mask_blur),
        "Masked area padding" => number(value, &mut read.mask_padding),
        "Mask mode" => match value {
            MASK_INVERTED => {
                read.mask_invert = Some(true);
                Ok(())
            }
            "Inpaint masked" => Ok(()),
            _ => Err("expected Inpaint masked or Inpaint not masked"),
        },
        "Inpaint area" => match value {
            ONLY_MASKED => {
                // That program's own, until the next field says another.
                read.mask_padding.get_or_insert(32);
                Ok(())
            }
            "Whole picture" => Ok(()),
            _ => Err("expected Whole picture or Only masked"),
        },
        "Size" => match value.split_once('x') {
            Some((width, height)) => number(width, &mut read.width).and(number(height, &mut read.height)),
            None => Err("expected width x height"),
        },
        "Clip skip" => {
            // It counts the layer that is read.
            let read = number(value, &mut read.clip_skip).map(|()| &mut read.clip_skip);
            read.map(|skipped| *skipped = skipped.map(|count| count.saturating_sub(1)))
        }
        "RNG" => {
            let generators =
                [("CPU", NoiseKind::TorchCpu), ("GPU", NoiseKind::TorchCuda), ("NV", NoiseKind::TorchCuda)];
            let generator = generators.iter().find(|(name, _)| *name == value);
            generator.map(|(_, kind)| read.rng = Some(*kind)).ok_or("expected CPU, GPU or NV")
        }
        "Emphasis" => match value {
            "Original" => Ok(()),
            "None" => {
                read.prompt_syntax = Some(PromptSyntax::Plain);
                Ok(())
            }
            _ => Err("weights are applied as by the emphasis Original"),
        },
        "Pad conds" => match value {
            "True" => {
                read.long_prompts = Some(LongPrompts::Padded);
                Ok(())
            }
            "False" => Ok(()),
            _ => Err("expected True or False"),
        },
        "Model hash" | "VAE hash" if !is_hash(value) => Err("expected hexadecimal digits"),
        "Model" | "Model hash" | "VAE" | "VAE hash" | "Sampler" | "Schedule type" => Ok(()),
        _ => return None,
    })
}

fn own_options(value: &str) -> Result<Overrides, String> {
    let value = serde_json::from_str(value).map_err(|error| error.to_string())?;
    Overrides::from_json(&value).map_err(|error| error.to_string())
}

/// `NAME: HASH, NAME: HASH`.
fn hashes(value: &str) -> Vec<(&str, &str)> {
    let pairs = value.split(',').filter_map(|pair| pair.trim().rsplit_once(": "));
    pairs.filter(|(_, hash)| is_hash(hash)).collect()
}

/// Whether a text is a hash of a file, or the first digits of one.
fn is_hash(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::SchedulerKind;

    /// As version 1.10 writes it.
    const MODERN: &str = "a (cute:1.2) cat, [sketch], <lora:Ink v2:0.8>\nand a dog\nNegative prompt: easynegative, blurry\nSteps: 20, \
        Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 4294967295, Size: 512x768, Model hash: 6ce0161689, Model: \
        v1-5-pruned-emaonly, VAE hash: 735e4c3a44, VAE: vae-ft-mse-840000-ema-pruned.safetensors, Clip skip: 2, Lora hashes: \
        \"Ink v2: A1B2C3D4E5F6\", TI hashes: \"easynegative: c74b4e810b03, easynegative: c74b4e810b03\", Version: v1.10.1";

    fn options(text: &str) -> Value {
        let reading = read(text);
        assert_eq!(reading.unsupported, [], "{text}");
        Value::Object(reading.overrides.to_json())
    }

    /// A text with all that is needed, and more.
    fn with(more: &str) -> String {
        format!("a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 3, Size: 512x512, Model: m, {more}")
    }

    fn refused(text: &str) -> Vec<String> {
        read(text).unsupported.iter().map(|value| format!("{}={}", value.name, value.value)).collect()
    }

    #[test]
    fn a_text_of_another_program_implies_its_ways() {
        let model = json!({ "name": "v1-5-pruned-emaonly", "sha256": "6ce0161689" });
        let expected = json!({
            "prompt": "a (cute:1.2) cat, [sketch],\nand a dog", "negative_prompt": "easynegative, blurry", "steps": 20,
            "scheduler": "dpmpp-2m", "sigmas": "karras", "timestep_spacing": "linspace", "guidance_scale": 7.0,
            "seed": 4_294_967_295_u64, "width": 512, "height": 768, "model": "v1-5-pruned-emaonly", "model_files": [model],
            "vae": { "name": "vae-ft-mse-840000-ema-pruned.safetensors", "sha256": "735e4c3a44" }, "clip_skip": 1,
            "rng": "torch-cuda", "prompt_syntax": "a1111", "long_prompts": "chunks", "method": "stable-diffusion", "vae_tiling": false,
            "loras": [{ "name": "Ink v2", "sha256": "a1b2c3d4e5f6", "strength": 0.8 }],
            "embeddings": [{ "name": "easynegative", "sha256": "c74b4e810b03", "token": "easynegative" }],
        });
        assert_eq!(options(MODERN), expected);
        assert_eq!(options(&MODERN.replace('\n', "\r\n")), expected);
    }

    #[test]
    fn the_generator_is_that_of_cuda_unless_the_text_says_cpu() {
        for (rng, expected) in
            [("", "torch-cuda"), ("RNG: GPU", "torch-cuda"), ("RNG: NV", "torch-cuda"), ("RNG: CPU", "torch-cpu")]
        {
            assert_eq!(options(&with(rng))["rng"], expected, "{rng}");
        }
        assert_eq!(refused(&with("RNG: TPU")), ["RNG=TPU"]);
    }

    /// What was refused before the syntax was known.
    #[test]
    fn the_syntax_of_a_prompt_is_honoured() {
        let text = with("Lora hashes: \"Ink: A1B2C3D4E5F6\", Pad conds: True")
            .replace("a cat", "a [cat|dog:0.5] BREAK (x:1.3) AND y :0.5 <lora:Ink:0.5:0.8>");
        let options = options(&text);
        assert_eq!(options["prompt"], "a [cat|dog:0.5] BREAK (x:1.3) AND y :0.5");
        assert_eq!((&options["prompt_syntax"], &options["long_prompts"]), (&json!("a1111"), &json!("padded")));
        let lora = json!({ "name": "Ink", "sha256": "a1b2c3d4e5f6", "strength": 0.5, "unet_strength": 0.8 });
        assert_eq!(options["loras"], json!([lora]));
        assert_eq!(refused(&with("Pad conds: 1")), ["Pad conds=1"]);
    }

    #[test]
    fn old_texts_are_read() {
        let text = "a cat\nSteps: 20, Sampler: DDIM, CFG scale: 7, Seed: 3, Size: 512x512, Model hash: 45dee52b, ENSD: 31337, Batch \
            size: 4, Batch pos: 2";
        let options = options(text);
        assert_eq!((&options["model"], &options["negative_prompt"]), (&json!("45dee52b"), &json!("")));
        assert_eq!(options["model_files"], json!([{ "name": "45dee52b", "sha256": "45dee52b" }]));
        assert_eq!((&options["timestep_spacing"], &options["sigmas"]), (&json!("leading"), &Value::Null));
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (more, expected) in [
            (
                "Hires upscale: 2, Hires steps: 10, Hires upscaler: Latent, Denoising strength: 0.7",
                &["Hires upscale=2", "Hires steps=10", "Hires upscaler=Latent"][..],
            ),
            (
                "Refiner: sd_xl_refiner [7440042bbd], Refiner switch at: 0.8",
                &["Refiner=sd_xl_refiner [7440042bbd]", "Refiner switch at=0.8"],
            ),
            (r#"ControlNet 0: "Module: canny, Weight: 1""#, &["ControlNet 0=Module: canny, Weight: 1"]),
            ("Variation seed: 7, Variation seed strength: 0.3", &["Variation seed=7", "Variation seed strength=0.3"]),
            ("ENSD: 31337", &["ENSD=31337"]),
            ("Eta: 0.5", &["Eta=0.5"]),
            ("Tiling: True", &["Tiling=True"]),
            ("Face restoration: CodeFormer", &["Face restoration=CodeFormer"]),
            ("Token merging ratio: 0.5", &["Token merging ratio=0.5"]),
            ("Emphasis: No norm", &["Emphasis=No norm"]),
            ("Used embeddings: bad [1a2b]", &["Used embeddings=bad [1a2b]"]),
            ("Something new: 3, odd", &["Something new=3", "odd="]),
            ("Clip skip: two", &["Clip skip=two"]),
            ("Model hash: Unknown", &["Model hash=Unknown"]),
            ("VAE Decoder: TAESD", &["VAE Decoder=TAESD"]),
        ] {
            assert_eq!(refused(&with(more)), expected, "{more}");
        }
        let text = with("Emphasis: None")
            .replace("Euler a", "DPM++ 2M SDE Karras")
            .replace("a cat", "a cat BREAK [a|b] AND <hypernet:x:1>");
        assert_eq!(
            refused(&text).iter().map(|value| value.split('=').next().unwrap()).collect::<Vec<_>>(),
            ["hypernet", "AND", "BREAK", "Prompt editing", "Sampler"]
        );
    }

    #[test]
    fn what_changes_nothing_is_passed_over() {
        let more = r#"Variation seed: 7, Variation seed strength: 0, ENSD: 0, Eta: 1.0, Tiling: False, Token merging ratio: 0, Version: v1.6.0,
            User: me, Hashes: {"model": "6c", "x": "y"}, Civitai resources: [{"type":"checkpoint"}], VAE: Automatic, Sigma noise: 1,
            Lora hashes: "gone: 0123456789", Batch size: 2, Batch pos: 1, Emphasis: Original, FP8 weight: Disable"#;
        let options = options(&with(&more.replace('\n', " ")));
        assert_eq!((&options["vae"], &options["loras"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn samplers_that_are_others_there_are_named_until_one_is_chosen() {
        for (sampler, more, expected) in [
            ("DPM++ 2M SDE", "Schedule type: Karras", &["Sampler=DPM++ 2M SDE"][..]),
            ("UniPC", "", &["Sampler=UniPC"]),
            ("LCM", "", &["Sampler=LCM"]),
            ("DPM2 Karras", "", &["Sampler=DPM2"]),
            ("DPM2 a", "", &["Sampler=DPM2 a"]),
            ("Euler", "Schedule type: Beta", &["Schedule type=Beta"]),
            ("Heun", "", &[]),
            ("LMS Karras", "", &[]),
            ("DPM++ 2M", "Schedule type: Exponential", &[]),
        ] {
            let text = with(more).replace("Euler a", sampler);
            assert_eq!(refused(&text), expected, "{sampler}");
            let chosen = Overrides {
                scheduler: Some(SchedulerKind::Euler),
                sigmas: Some(crate::SigmaSpacing::Beta),
                ..Overrides::default()
            };
            assert!(read(&text).unsupported.iter().all(|value| value.is_settled(&chosen)), "{sampler}");
        }
        let options = options(&with("Eta DDIM: 0.5").replace("Euler a", "DDIM"));
        assert_eq!((&options["scheduler"], &options["eta"]), (&json!("ddim"), &json!(0.5)));
    }

    #[test]
    fn missing_fields_are_named_and_options_replace_them() {
        assert_eq!(refused("a cat"), ["Steps=", "Seed=", "Sampler=", "CFG scale=", "Size=", "Model="]);
        assert_eq!(refused(""), refused("a cat"));
        assert_eq!(refused(&with("").replace("Seed: 3, ", "")), ["Seed="]);
        assert_eq!(refused(&with("").replace("Steps: 20", "Steps: -1")), ["Steps=-1"]);
        assert_eq!(refused(&with("").replace("Seed: 3", "Seed: -1")), ["Seed=-1"]);
        assert_eq!(refused(&with("").replace("512x512", "512")), ["Size=512"]);

        let reading =
            read(&with("Tiling: True, Hires upscale: 2").replace("Seed: 3, ", "").replace("Euler a", "Restart"));
        let given = Overrides { seed: Some(1), scheduler: Some(SchedulerKind::Ddim), ..Overrides::default() };
        let error = reading.clone().settle(&given, &["hires"]).unwrap_err();
        assert_eq!(error.values.len(), 1);
        assert!(error.to_string().contains("Tiling: True (the picture was made to continue at its edges)"), "{error}");
        let overrides = reading.settle(&given, &["hires", "TILING"]).unwrap();
        assert_eq!((overrides.steps, overrides.seed, overrides.scheduler), (Some(20), None, None));
    }

    #[test]
    fn a_picture_from_a_picture_needs_it() {
        let reading = read(&with("Denoising strength: 0.6, Init image hash: 12ab"));
        assert_eq!((reading.overrides.strength, reading.unsupported.len()), (Some(0.6), 1));
        let given = Overrides { init_image: Some(FileRef::new("x.png")), ..Overrides::default() };
        assert!(reading.settle(&given, &[""; 0]).is_ok());
        let hires = read(&with("Denoising strength: 0.6, Hires upscale: 2"));
        assert_eq!((hires.overrides.strength, hires.unsupported.len()), (None, 1));
    }

    #[test]
    fn a_picture_that_was_drawn_anew_in_part_needs_its_mask() {
        let more = "Denoising strength: 0.6, Mask mode: Inpaint not masked, Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32";
        let reading = read(&with(more));
        assert_eq!(refused(&with(more)), ["Denoising strength=0.6", "Mask mode=Inpaint not masked"]);
        let own = &reading.overrides;
        assert_eq!((own.mask_blur, own.mask_padding, own.mask_invert), (Some(4.0), Some(32), Some(true)));
        let given = Overrides {
            init_image: Some(FileRef::new("x.png")),
            mask: Some(FileRef::new("m.png")),
            ..Overrides::default()
        };
        let settled = reading.clone().settle(&given, &[""; 0]).unwrap();
        assert_eq!((settled.mask_blur, settled.mask_padding), (Some(4.0), Some(32)));
        let ignored = reading.settle(&Overrides::default(), &["Denoising strength", "Mask mode"]).unwrap();
        assert_eq!((ignored.mask_blur, ignored.mask_padding, ignored.mask_invert), (None, None, None));
        // What was in the masked part before, and values that are not known.
        assert_eq!(refused(&with("Masked content: latent noise")), ["Masked content=latent noise"]);
        assert_eq!(refused(&with("Inpaint area: Half")), ["Inpaint area=Half", "Inpaint area=Half"]);
        assert_eq!(refused(&with("Mask mode: x, Mask blur: y")), ["Mask mode=x", "Mask blur=y", "Mask mode=x"]);
    }

    #[test]
    fn our_own_key_is_checked() {
        let own = |json: &str| refused(&with(&format!("Attend-and-Excite: {}", super::super::fields::quote(json))));
        assert_eq!(own(r#"{"method":"attend-and-excite","subjects":["cat"]}"#), [""; 0]);
        assert_eq!(own(r#"{"subjcts":["cat"]}"#), [r#"Attend-and-Excite={"subjcts":["cat"]}"#]);
        assert_eq!(own(r#"{"format":99}"#), [r#"Attend-and-Excite={"format":99}"#]);
        assert_eq!(own("on"), ["Attend-and-Excite=on"]);
    }

    #[test]
    fn no_text_breaks_the_reader() {
        let pieces = [
            "a",
            "é",
            "\"",
            "\\",
            ",",
            ":",
            "\n",
            "<lora:",
            ">",
            "[",
            "]",
            "|",
            "Steps: 1",
            "{",
            "}",
            "Seed:",
            "x",
            "1",
            "\0",
            "Negative prompt:",
            "Lora hashes: \"a: 0123456789\"",
            " ",
            "Size: 1x",
            "Attend-and-Excite: ",
        ];
        let mut state = 1_u64;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let reading = read(&text);
            assert!(
                Overrides::from_json(&Value::Object(reading.overrides.to_json())).is_ok()
                    || !reading.unsupported.is_empty()
            );
        }
    }
}
