//! What NovelAI writes into its pictures: the prompt as `Description`, the model as `Source`, the rest as JSON under `Comment`.

use serde_json::{Map, Value};

use crate::a1111::{Reading, Unsupported};
use crate::{Method, NoiseKind, Overrides, PromptSyntax, SchedulerKind, SigmaSpacing};

/// The program's name under `Software`.
pub const SOFTWARE: &str = "NovelAI";

/// Keys of `Comment` that say nothing of the pixels, or nothing that the others do not say.
const RECORDS: [&str; 14] = [
    "request_type",
    "signed_hash",
    "hide_debug_overlay",
    "params_version",
    "version",
    "prompt",
    "n_samples",
    "legacy_v3_extend",
    "deliberate_euler_ancestral_bug",
    "prefer_brownian",
    "explike_fine_detail",
    "stream",
    "use_coords",
    "add_original_image",
];

/// Keys that change the picture unless they have one of these values.
const NEUTRAL: [(&str, &[&str]); 22] = [
    ("noise", &["0", "0.0", "0.2", "0.667"]),
    ("uncond_scale", &["1", "1.0"]),
    ("sm", &["false"]),
    ("sm_dyn", &["false"]),
    ("legacy", &["false"]),
    ("legacy_uc", &["false"]),
    ("dynamic_thresholding", &["false"]),
    ("controlnet_strength", &["1", "1.0"]),
    ("controlnet_model", &["null"]),
    ("skip_cfg_below_sigma", &["0", "0.0"]),
    ("skip_cfg_above_sigma", &["null"]),
    ("lora_unet_weights", &["null"]),
    ("lora_clip_weights", &["null"]),
    ("reference_image_multiple", &["[]"]),
    ("reference_information_extracted_multiple", &["[]"]),
    ("reference_strength_multiple", &["[]"]),
    ("extra_passthrough_testing", &["null"]),
    ("v4_prompt", &["null"]),
    ("v4_negative_prompt", &["null"]),
    ("cfg_sched_eligibility", &[]),
    ("minimize_sigma_inf", &["false"]),
    ("uncond_per_vibe", &["true", "false"]),
];

/// Reads the texts of a picture: the prompt, what `Source` calls the model, and the JSON of `Comment`; none where that is no object.
///
/// The models are NovelAI's own: another one is to be given. Nothing is an error here: what cannot be honoured is in
/// [`Reading::unsupported`].
pub fn read(description: &str, source: &str, comment: &str) -> Option<Reading> {
    let value: Value = serde_json::from_str(comment).ok()?;
    let mut reader = Reader::default();
    reader.read(description, source, value.as_object()?);
    Some(Reading { overrides: reader.read, unsupported: reader.unsupported })
}

#[derive(Default)]
struct Reader {
    read: Overrides,
    unsupported: Vec<Unsupported>,
}

impl Reader {
    fn refuse(&mut self, name: &str, value: &str, reason: impl Into<String>, options: &'static [&'static str]) {
        self.unsupported.push(Unsupported::new(name, value, reason).settled_by(options));
    }

    fn read(&mut self, description: &str, source: &str, comment: &Map<String, Value>) {
        self.read = Overrides {
            method: Some(Method::StableDiffusion),
            rng: Some(NoiseKind::TorchCpu),
            prompt_syntax: Some(PromptSyntax::Plain),
            clip_skip: Some(0),
            vae_tiling: Some(false),
            ..Overrides::default()
        };
        self.refuse("Source", source, "NovelAI's models are its own; give another model", &["model"]);
        self.refuse(
            "Noise",
            "",
            "what draws NovelAI's noise is not known; ignored, it is the generator torch-cpu",
            &["rng"],
        );
        let prompt = comment.get("prompt").and_then(Value::as_str).unwrap_or(description);
        self.read.prompt = Some(prompt.to_owned());
        self.check_weights(prompt, &["prompt"]);
        self.read.negative_prompt = Some(String::new());
        for (name, value) in comment {
            self.key(name, value);
        }
        let needed: [(&str, &[&str]); 6] = [
            ("steps", &["steps"]),
            ("scale", &["guidance_scale"]),
            ("seed", &["seed"]),
            ("sampler", &["scheduler"]),
            ("width", &["width"]),
            ("height", &["height"]),
        ];
        for (name, options) in needed {
            if !comment.contains_key(name) {
                self.unsupported.push(Unsupported::missing(name, options));
            }
        }
        if self.read.scheduler.is_some_and(|kind| !kind.has_sigmas(SigmaSpacing::Normal)) {
            self.read.sigmas = None;
        }
    }

    fn key(&mut self, name: &str, value: &Value) {
        fn number<T: serde::de::DeserializeOwned>(value: &Value, option: &mut Option<T>) -> bool {
            *option = serde_json::from_value(value.clone()).ok();
            option.is_some()
        }
        let read = &mut self.read;
        let is_read = match name {
            "steps" => number(value, &mut read.steps),
            "scale" => number(value, &mut read.guidance_scale),
            "cfg_rescale" => number(value, &mut read.guidance_rescale),
            "seed" => number(value, &mut read.seed),
            "width" => number(value, &mut read.width),
            "height" => number(value, &mut read.height),
            "uc" => match value.as_str() {
                Some(text) => {
                    read.negative_prompt = Some(text.to_owned());
                    return self.check_weights(text, &["negative_prompt"]);
                }
                None => false,
            },
            "sampler" => return self.sampler(value.as_str().unwrap_or_default()),
            "noise_schedule" => match value.as_str() {
                Some("native" | "normal") => read.sigmas.replace(SigmaSpacing::Normal).is_none(),
                Some("karras") => read.sigmas.replace(SigmaSpacing::Karras).is_none(),
                Some("exponential") => read.sigmas.replace(SigmaSpacing::Exponential).is_none(),
                _ => return self.refuse(name, &value.to_string(), "there is no such schedule", &["sigmas"]),
            },
            "strength" if value.as_f64() == Some(0.0) || comment_of_text(value) => true,
            "strength" => {
                let reason = "the picture may have been made from another one: give the initial image";
                number(value, &mut read.strength);
                return self.refuse(name, &value.to_string(), reason, &["init_image"]);
            }
            "extra_noise_seed" if self.read.seed.is_some() && value.as_u64() == self.read.seed => true,
            name if name.starts_with("dynamic_thresholding_") || RECORDS.contains(&name) => true,
            _ => {
                let json = value.to_string();
                let neutral = NEUTRAL.iter().find(|(known, _)| *known == name);
                if neutral.is_some_and(|(_, values)| values.contains(&json.as_str())) || value.is_null() {
                    return;
                }
                let reason =
                    neutral.map_or("this key is not known", |_| "it changes the picture in a way that is not known");
                return self.refuse(name, &json, reason, &[]);
            }
        };
        if !is_read {
            self.refuse(name, &value.to_string(), "expected a number or a text", &[]);
        }
    }

    fn sampler(&mut self, name: &str) {
        // NovelAI's own variant of DDIM has a number.
        match name.trim_end_matches("_v3").parse::<SchedulerKind>() {
            Ok(kind) => self.read.scheduler = Some(kind),
            Err(error) => {
                let reason =
                    format!("{}; choose one of {}", error.reason.unwrap_or("there is no such sampler"), error.expected);
                self.refuse("sampler", name, reason, &["scheduler"]);
            }
        }
    }

    fn check_weights(&mut self, text: &str, options: &'static [&'static str]) {
        if text.contains(['{', '}', '[', ']']) || text.contains("::") {
            let reason = "weights of NovelAI are not known; ignored, their brackets are text";
            self.refuse("Prompt weights", text, reason, options);
        }
    }
}

/// Whether a strength is the default that a picture of a text alone has.
fn comment_of_text(value: &Value) -> bool {
    value.as_f64().is_some_and(|strength| [0.69, 0.7].iter().any(|usual: &f64| strength.total_cmp(usual).is_eq()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn comment() -> Value {
        json!({ "prompt": "a cat", "steps": 28, "height": 768, "width": 512, "scale": 5.0, "uncond_scale": 1.0, "cfg_rescale": 0.2,
            "seed": 3, "n_samples": 1, "hide_debug_overlay": false, "noise_schedule": "karras", "sampler": "k_euler", "sm": false,
            "sm_dyn": false, "dynamic_thresholding": false, "dynamic_thresholding_percentile": 0.999, "controlnet_model": null,
            "skip_cfg_below_sigma": 0.0, "uc": "blurry", "request_type": "PromptGenerateRequest", "signed_hash": "x" })
    }

    fn refused(comment: &Value) -> Vec<String> {
        let reading = read("a dog", "Stable Diffusion F1022D28", &comment.to_string()).unwrap();
        reading.unsupported.into_iter().map(|value| value.name).collect()
    }

    #[test]
    fn a_picture_is_read_but_for_its_model_and_its_noise() {
        let reading = read("a dog", "Stable Diffusion F1022D28", &comment().to_string()).unwrap();
        let names: Vec<_> = reading.unsupported.iter().map(|value| value.name.as_str()).collect();
        assert_eq!(names, ["Source", "Noise"]);
        let given = Overrides { model: Some("sd15".to_owned()), ..Overrides::default() };
        let found = reading.settle(&given, &["noise"]).unwrap();
        assert_eq!((found.prompt.as_deref(), found.negative_prompt.as_deref()), (Some("a cat"), Some("blurry")));
        let sampling =
            json!([found.steps, found.scheduler, found.sigmas, found.guidance_rescale, found.width, found.height]);
        assert_eq!(sampling, json!([28, "euler", "karras", 0.2, 512, 768]));
        let mut old = comment();
        old.as_object_mut().unwrap().remove("prompt");
        assert_eq!(read("a dog", "", &old.to_string()).unwrap().overrides.prompt.as_deref(), Some("a dog"));
        assert!(read("a dog", "", "no JSON").is_none() && read("", "", "[]").is_none());
    }

    #[test]
    fn every_key_is_read_neutral_or_named() {
        for (name, neutral) in NEUTRAL {
            for value in neutral {
                let mut picture = comment();
                picture[name] = serde_json::from_str(value).unwrap();
                assert_eq!(refused(&picture), ["Source", "Noise"], "{name}");
            }
            let mut picture = comment();
            picture[name] = json!({ "other": 1 });
            assert_eq!(refused(&picture), ["Source", "Noise", name], "{name}");
        }
        for name in RECORDS.into_iter().filter(|name| *name != "prompt") {
            let mut picture = comment();
            picture[name] = json!(true);
            assert_eq!(refused(&picture), ["Source", "Noise"], "{name}");
        }
        for (name, value) in [
            ("steps", json!("x")),
            ("scale", json!([])),
            ("cfg_rescale", json!("x")),
            ("seed", json!(-1)),
            ("width", json!(1.5)),
            ("height", json!({})),
            ("uc", json!(3)),
            ("sampler", json!("k_dpmpp_sde")),
            ("noise_schedule", json!("polyexponential")),
            ("strength", json!(0.5)),
            ("extra_noise_seed", json!(9)),
            ("something_new", json!(1)),
        ] {
            let mut picture = comment();
            picture[name] = value;
            assert_eq!(refused(&picture), ["Source", "Noise", name], "{name}");
        }
        let mut picture = comment();
        picture["uc"] = json!("{{bad}}");
        assert_eq!(refused(&picture), ["Source", "Noise", "Prompt weights"]);
        assert_eq!(refused(&json!({})).len(), 2 + 6);
    }
}
