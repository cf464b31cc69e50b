//! The metadata that InvokeAI writes into its pictures.
//!
//! Since version 3 they are JSON under `invokeai_metadata` (`CoreMetadataInvocation` in `app/invocations/metadata.py`; models have other
//! keys since version 4), before that under `sd-metadata`.

use serde_json::{Map, Value};

use crate::a1111::{Reading, Unsupported};
use crate::{FileRef, LoraRef, Method, NoiseKind, Overrides, PromptSyntax, SchedulerKind, SigmaSpacing};

/// Reads the metadata of a picture; none where the text is no object of JSON.
///
/// InvokeAI draws with diffusers' samplers, and its noise on the CPU unless `rand_device` says otherwise. Nothing is an error here: what
/// cannot be read, and what is missing, is in [`Reading::unsupported`].
pub fn read(text: &str) -> Option<Reading> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut reader = Reader::default();
    reader.metadata(value.as_object()?);
    Some(reader.finish())
}

/// Reads the metadata of versions 1 and 2, `sd-metadata`; none where the text is no object of JSON with an `image`.
pub fn read_old(text: &str) -> Option<Reading> {
    let value: Value = serde_json::from_str(text).ok()?;
    let image = value.get("image")?.as_object()?;
    let mut reader = Reader::default();
    reader.old(value.as_object()?, image);
    Some(reader.finish())
}

/// Keys that say nothing of the pixels of this picture.
const RECORDS: [&str; 5] =
    ["app_version", "imported_app_version", "metadata_version", "canvas_v2_metadata", "created_by"];

/// Keys that change the picture unless their value is one of these.
const NEUTRAL: [(&str, &[&str], &str); 21] = [
    ("generation_mode", &["\"txt2img\"", "\"img2img\""], "another kind of picture"),
    ("seamless_x", &["false"], "the picture was made to continue at its edges"),
    ("seamless_y", &["false"], "the picture was made to continue at its edges"),
    ("controlnets", &["[]"], "another network led the picture"),
    ("ipAdapters", &["[]"], "another network led the picture"),
    ("ip_adapters", &["[]"], "another network led the picture"),
    ("t2iAdapters", &["[]"], "another network led the picture"),
    ("regions", &["[]"], "parts of the picture had prompts of their own"),
    ("hrf_enabled", &["false"], "there was a second pass at a higher resolution"),
    ("hrf_method", &[], "there was a second pass at a higher resolution"),
    ("hrf_strength", &[], "there was a second pass at a higher resolution"),
    ("positive_style_prompt", &["\"\""], "it is a prompt of Stable Diffusion XL"),
    ("negative_style_prompt", &["\"\""], "it is a prompt of Stable Diffusion XL"),
    ("refiner_model", &[], "a second model drew the last steps"),
    ("refiner_cfg_scale", &[], "a second model drew the last steps"),
    ("refiner_steps", &[], "a second model drew the last steps"),
    ("refiner_scheduler", &[], "a second model drew the last steps"),
    ("refiner_positive_aesthetic_score", &[], "a second model drew the last steps"),
    ("refiner_negative_aesthetic_score", &[], "a second model drew the last steps"),
    ("refiner_start", &[], "a second model drew the last steps"),
    ("esrgan_model", &[], "the picture was made larger by another network"),
];

/// The keys without which the metadata say too little, and the options that replace each.
const NEEDED: [(&str, &[&str]); 7] = [
    ("positive_prompt", &["prompt"]),
    ("steps", &["steps"]),
    ("seed", &["seed"]),
    ("cfg_scale", &["guidance_scale"]),
    ("scheduler", &["scheduler"]),
    ("width", &["width"]),
    ("height", &["height"]),
];

#[derive(Default)]
struct Reader {
    read: Overrides,
    unsupported: Vec<Unsupported>,
}

impl Reader {
    fn finish(mut self) -> Reading {
        self.read.method = Some(Method::StableDiffusion);
        self.read.rng = self.read.rng.or(Some(NoiseKind::TorchCpu));
        self.read.clip_skip = self.read.clip_skip.or(Some(0));
        self.read.vae_tiling = Some(false);
        self.read.prompt_syntax = Some(PromptSyntax::Plain);
        self.read.negative_prompt.get_or_insert_default();
        Reading { overrides: self.read, unsupported: self.unsupported }
    }

    fn refuse(&mut self, name: &str, value: &str, reason: impl Into<String>, options: &'static [&'static str]) {
        self.unsupported.push(Unsupported::new(name, value, reason).settled_by(options));
    }

    fn metadata(&mut self, all: &Map<String, Value>) {
        // A null is as absent.
        let given: Vec<_> = all.iter().filter(|(_, value)| !value.is_null()).collect();
        for (name, value) in &given {
            self.key(name, value);
        }
        for (name, options) in NEEDED {
            if !given.iter().any(|(given, _)| *given == name) {
                self.unsupported.push(Unsupported::missing(name, options));
            }
        }
        if !given.iter().any(|(name, _)| *name == "model") {
            self.unsupported.push(Unsupported::missing("model", &["model"]));
        }
    }

    fn key(&mut self, name: &str, value: &Value) {
        let read = &mut self.read;
        let is_read = match name {
            "positive_prompt" => return self.prompt(name, value, &["prompt"]),
            "negative_prompt" => return self.prompt(name, value, &["negative_prompt"]),
            "model" => return self.model(value),
            "vae" => return self.vae(value),
            "loras" => return self.loras(value),
            "scheduler" => return self.scheduler(name, value),
            "width" => number(value, &mut read.width),
            "height" => number(value, &mut read.height),
            "seed" => number(value, &mut read.seed),
            "steps" => number(value, &mut read.steps),
            "cfg_scale" => number(value, &mut read.guidance_scale),
            "cfg_rescale_multiplier" => number(value, &mut read.guidance_rescale),
            "clip_skip" => number(value, &mut read.clip_skip),
            "strength" => number(value, &mut read.strength),
            "init_image" => {
                let reason = "the picture was made from this one, which is not in it: give the initial image";
                return self.refuse(name, &shown(value), reason, &["init_image"]);
            }
            "rand_device" => match value.as_str() {
                Some("cpu") => read.rng.replace(NoiseKind::TorchCpu).is_none_or(|_| true),
                Some("cuda") => read.rng.replace(NoiseKind::TorchCuda).is_none_or(|_| true),
                _ => return self.refuse(name, &shown(value), "expected cpu or cuda", &["rng"]),
            },
            name if RECORDS.contains(&name) => true,
            name => return self.other(name, value),
        };
        if !is_read {
            let options = NEEDED.iter().find(|(needed, _)| *needed == name).map_or(&[][..], |(_, options)| options);
            self.refuse(name, &shown(value), "expected a number", options);
        }
    }

    /// A key that is no option.
    fn other(&mut self, name: &str, value: &Value) {
        let json = value.to_string();
        match NEUTRAL.iter().find(|(known, ..)| *known == name) {
            Some((_, neutral, _)) if neutral.contains(&json.as_str()) => {}
            Some((.., reason)) => self.refuse(name, &shown(value), *reason, &[]),
            None => self.refuse(name, &shown(value), "this key is not known", &[]),
        }
    }

    /// A prompt, whose syntax of weights is Compel's.
    fn prompt(&mut self, name: &str, value: &Value, options: &'static [&'static str]) {
        let Some(text) = value.as_str() else { return self.refuse(name, &shown(value), "expected a text", options) };
        if let Some(piece) = weighted(text) {
            let reason = "weights of Compel are not known; ignored, they are words";
            self.refuse("Prompt syntax", piece, reason, options);
        }
        let text = Some(text.to_owned());
        if name == "negative_prompt" { self.read.negative_prompt = text } else { self.read.prompt = text }
    }

    fn scheduler(&mut self, key: &str, value: &Value) {
        let name = value.as_str().unwrap_or_default();
        // InvokeAI writes `_k` for Karras, and `kdpm_2` for DPM2.
        let (base, is_karras) = name.strip_suffix("_k").map_or((name, false), |base| (base, true));
        match base.replace("kdpm_2", "dpm_2").parse::<SchedulerKind>() {
            Ok(kind) => {
                self.read.scheduler = Some(kind);
                let spread = if is_karras { SigmaSpacing::Karras } else { SigmaSpacing::Normal };
                self.read.sigmas = kind.has_sigmas(spread).then_some(spread);
                // `denoise_latents.py`: TCD draws all of its noise afresh.
                self.read.eta = (kind == SchedulerKind::Tcd).then_some(1.0);
                if kind.draws_noise(self.read.eta.unwrap_or_default()) {
                    let reason = format!(
                        "its noise between the steps has another seed there; choose the scheduler {kind} for other noise"
                    );
                    self.refuse(key, name, reason, &["scheduler"]);
                }
            }
            Err(error) => {
                let reason =
                    format!("{}; choose one of {}", error.reason.unwrap_or("there is no such sampler"), error.expected);
                self.refuse(key, &shown(value), reason, &["scheduler"]);
            }
        }
    }

    fn model(&mut self, value: &Value) {
        let Some(name) = model_name(value) else {
            return self.refuse("model", &shown(value), "expected a model with a name", &["model"]);
        };
        if let Some(base) =
            member(value, &["base", "base_model"]).filter(|base| !["sd-1", "sd-2", "any"].contains(base))
        {
            self.refuse("model base", base, "expected Stable Diffusion 1 or 2", &["model"]);
        }
        self.read.model = Some(name.to_owned());
        self.read.model_files = Some(vec![FileRef::new(name)]);
    }

    fn vae(&mut self, value: &Value) {
        match model_name(value) {
            Some(name) => self.read.vae = Some(FileRef::new(name)),
            None => self.refuse("vae", &shown(value), "expected a model with a name", &["vae"]),
        }
    }

    fn loras(&mut self, value: &Value) {
        let lora = |lora: &Value| {
            let model = lora.get("model").or_else(|| lora.get("lora"))?;
            Some(LoraRef::new(model_name(model)?, lora.get("weight")?.as_f64()?))
        };
        let loras: Option<Vec<_>> = value.as_array().and_then(|loras| loras.iter().map(lora).collect());
        match loras {
            Some(loras) => self.read.loras = (!loras.is_empty()).then_some(loras),
            None => self.refuse("loras", &shown(value), "expected models with names and weights", &["loras"]),
        }
    }

    /// The keys of versions 1 and 2.
    fn old(&mut self, all: &Map<String, Value>, image: &Map<String, Value>) {
        for (name, value) in all.iter().filter(|(_, value)| !value.is_null()) {
            match (name.as_str(), value.as_str()) {
                ("image" | "app_id" | "app_version" | "model" | "model_id", _) => {}
                ("model_weights", Some(weights)) => self.read.model = Some(weights.to_owned()),
                ("model_hash", Some(hash)) => {
                    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let sha256 = is_hash.then(|| hash.to_lowercase());
                    let name =
                        self.read.model.clone().or_else(|| all.get("model_weights")?.as_str().map(str::to_owned));
                    self.read.model_files = name.map(|name| vec![FileRef { name, sha256 }]);
                }
                _ => self.refuse(name, &shown(value), "this key is not known", &[]),
            }
        }
        if self.read.model.is_none() {
            self.unsupported.push(Unsupported::missing("model_weights", &["model"]));
        }
        for (name, value) in image.iter().filter(|(_, value)| !value.is_null()) {
            self.old_key(name, value);
        }
        for (name, options) in NEEDED {
            let name = match name {
                "positive_prompt" => "prompt",
                "scheduler" => "sampler",
                name => name,
            };
            if image.get(name).is_none_or(Value::is_null) {
                self.unsupported.push(Unsupported::missing(name, options));
            }
        }
    }

    fn old_key(&mut self, name: &str, value: &Value) {
        let json = value.to_string();
        let neutral: &[&str] = match name {
            "prompt" => return self.old_prompt(value),
            "sampler" => return self.scheduler(name, value),
            "cfg_scale" | "steps" | "seed" | "width" | "height" | "strength" => return self.key(name, value),
            "init_image_path" => return self.key("init_image", value),
            "orig_hash" | "rec_hash" => return,
            "type" => &["\"txt2img\"", "\"img2img\""],
            "threshold" | "perlin" => &["0", "0.0"],
            "seamless" | "hires_fix" | "fit" => &["false"],
            "postprocessing" | "variations" | "facetool" => &["[]", "false"],
            _ => return self.refuse(name, &shown(value), "this key is not known", &[]),
        };
        if !neutral.contains(&json.as_str()) {
            self.refuse(name, &shown(value), "it changes the picture in a way that is not known", &[]);
        }
    }

    /// A text, or a list of texts with weights. The negative prompt stands in square brackets.
    fn old_prompt(&mut self, value: &Value) {
        let text = match value {
            Value::String(text) => Some(text.as_str()),
            Value::Array(parts) => match parts.as_slice() {
                [part] => part.get("prompt").and_then(Value::as_str),
                _ => None,
            },
            _ => None,
        };
        let Some(text) = text else { return self.refuse("prompt", &shown(value), "expected one text", &["prompt"]) };
        let (mut prompt, mut negative) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some((before, inside, after)) = rest
            .split_once('[')
            .and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
            .map(|(before, (inside, after))| (before, inside, after))
        {
            prompt.push_str(before);
            negative.push(inside.trim());
            rest = after;
        }
        prompt.push_str(rest);
        self.prompt("positive_prompt", &Value::from(prompt.trim()), &["prompt"]);
        self.prompt("negative_prompt", &Value::from(negative.join(" ")), &["negative_prompt"]);
    }
}

/// The piece of a prompt that Compel reads as more than words: `word+`, `(two words)1.2`, `("a", "b").and()`.
fn weighted(text: &str) -> Option<&str> {
    let symbols: Vec<(usize, char)> = text.char_indices().collect();
    let piece = |at: usize| text[at..].split_whitespace().next().unwrap_or_default();
    symbols.iter().enumerate().find_map(|(index, (at, symbol))| {
        let before = index.checked_sub(1).map(|before| symbols[before].1);
        let is_escaped = before == Some('\\');
        let ends = symbols.get(index + 1).is_none_or(|(_, next)| next.is_whitespace() || "+-,.".contains(*next));
        let behind_word = before.is_some_and(|before| before.is_alphanumeric() || ")\"+-".contains(before));
        let is_sign = "+-".contains(*symbol) && behind_word && ends;
        (!is_escaped && (is_sign || *symbol == '(')).then(|| piece(*at))
    })
}

/// A member of an object that is a text, under the first name that is there.
fn member<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| value.get(*name)?.as_str())
}

/// The name of a model: `name` since version 4, `model_name` before; in the oldest the value itself.
fn model_name(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| member(value, &["name", "model_name"])).filter(|name| !name.is_empty())
}

fn number<T: serde::de::DeserializeOwned>(value: &Value, option: &mut Option<T>) -> bool {
    *option = serde_json::from_value(value.clone()).ok();
    option.is_some()
}

/// A value as a person reads it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modern() -> Value {
        json!({
            "app_version": "5.6.0", "generation_mode": "txt2img", "positive_prompt": "a cat and a dog", "negative_prompt": "blurry",
            "width": 512, "height": 768, "seed": 3, "rand_device": "cpu", "cfg_scale": 7.0, "cfg_rescale_multiplier": 0.0, "steps": 30,
            "scheduler": "dpmpp_2m_k", "clip_skip": 0, "seamless_x": false, "seamless_y": false, "strength": null,
            "model": { "key": "k", "hash": "blake3:00", "name": "stable-diffusion-v1-5", "base": "sd-1", "type": "main" },
            "loras": [{ "model": { "key": "l", "hash": "blake3:11", "name": "sketch", "base": "sd-1", "type": "lora" }, "weight": 0.75 }],
            "vae": { "key": "v", "hash": "blake3:22", "name": "mse-840000", "base": "sd-1", "type": "vae" },
        })
    }

    fn refused(value: &Value) -> Vec<String> {
        let reading = read(&value.to_string()).unwrap();
        reading.unsupported.iter().map(|value| format!("{}={}", value.name, value.value)).collect()
    }

    #[test]
    fn pictures_of_today_are_read() {
        let reading = read(&modern().to_string()).unwrap();
        assert_eq!(reading.unsupported, []);
        let expected = json!({
            "method": "stable-diffusion", "prompt": "a cat and a dog", "negative_prompt": "blurry", "seed": 3, "rng": "torch-cpu",
            "steps": 30, "guidance_scale": 7.0, "guidance_rescale": 0.0, "height": 768, "width": 512, "scheduler": "dpmpp-2m",
            "sigmas": "karras", "vae_tiling": false, "clip_skip": 0, "prompt_syntax": "plain", "model": "stable-diffusion-v1-5",
            "model_files": [{ "name": "stable-diffusion-v1-5" }], "loras": [{ "name": "sketch", "strength": 0.75 }],
            "vae": { "name": "mse-840000" },
        });
        assert_eq!(Value::Object(reading.overrides.to_json()), expected);
    }

    #[test]
    fn models_of_version_3_have_other_keys() {
        let mut old = modern();
        old["model"] = json!({ "model_name": "sd15", "base_model": "sd-1", "model_type": "main" });
        old["vae"] = json!({ "model_name": "mse", "base_model": "sd-1" });
        old["loras"] = json!([{ "lora": { "model_name": "ink", "base_model": "sd-1" }, "weight": 1 }]);
        old["rand_device"] = json!("cuda");
        let read = read(&old.to_string()).unwrap();
        assert_eq!(read.unsupported, []);
        assert_eq!(read.overrides.model.as_deref(), Some("sd15"));
        assert_eq!(read.overrides.loras, Some(vec![LoraRef::new("ink", 1.0)]));
        assert_eq!(read.overrides.rng, Some(NoiseKind::TorchCuda));
    }

    /// Every key of `CoreMetadataInvocation`, and what the front end adds.
    #[test]
    fn every_documented_key_is_read_neutral_or_named() {
        let changes = [
            ("generation_mode", json!("inpaint")),
            ("seamless_x", json!(true)),
            ("seamless_y", json!(true)),
            ("controlnets", json!([{ "control_model": {} }])),
            ("ipAdapters", json!([{}])),
            ("ip_adapters", json!([{}])),
            ("t2iAdapters", json!([{}])),
            ("regions", json!([{}])),
            ("hrf_enabled", json!(true)),
            ("hrf_method", json!("ESRGAN")),
            ("hrf_strength", json!(0.4)),
            ("positive_style_prompt", json!("ink")),
            ("negative_style_prompt", json!("ink")),
            ("refiner_model", json!({})),
            ("refiner_cfg_scale", json!(6)),
            ("refiner_steps", json!(20)),
            ("refiner_scheduler", json!("euler")),
            ("refiner_positive_aesthetic_score", json!(6)),
            ("refiner_negative_aesthetic_score", json!(2.5)),
            ("refiner_start", json!(0.8)),
            ("esrgan_model", json!("x.pth")),
            ("init_image", json!("a.png")),
            ("qwen3_encoder", json!({})),
            ("something_new", json!(1)),
        ];
        assert_eq!(NEUTRAL.len() + 3, changes.len());
        for (name, value) in &changes {
            let mut picture = modern();
            picture[*name] = value.clone();
            assert_eq!(refused(&picture).len(), 1, "{name}");
            picture[*name] = Value::Null;
            assert!(refused(&picture).is_empty(), "{name}");
        }
        for (name, neutral, _) in NEUTRAL {
            for value in neutral {
                let mut picture = modern();
                picture[name] = serde_json::from_str(value).unwrap();
                assert!(refused(&picture).is_empty(), "{name} {value}");
            }
        }
        for name in RECORDS {
            let mut picture = modern();
            picture[name] = json!("x");
            assert!(refused(&picture).is_empty(), "{name}");
        }
        // Those that are read: another value is another setting, a wrong one is named.
        for (name, other, wrong) in [
            ("positive_prompt", json!("a frog"), json!(1)),
            ("negative_prompt", json!("ugly"), json!([])),
            ("width", json!(640), json!("x")),
            ("height", json!(640), json!(-1)),
            ("seed", json!(4), json!("x")),
            ("steps", json!(4), json!(1.5)),
            ("cfg_scale", json!(4), json!([7, 8])),
            ("cfg_rescale_multiplier", json!(0.7), json!("x")),
            ("clip_skip", json!(1), json!(-1)),
            ("strength", json!(0.5), json!({})),
            ("rand_device", json!("cuda"), json!("mps")),
            ("scheduler", json!("euler"), json!("dpmpp_sde_k")),
            ("model", json!({ "name": "x" }), json!({})),
            ("vae", json!({ "name": "x" }), json!([])),
            ("loras", json!([]), json!([{ "weight": 1 }])),
        ] {
            let mut picture = modern();
            picture[name] = other;
            let reading = read(&picture.to_string()).unwrap();
            assert_eq!(reading.unsupported, [], "{name}");
            assert_ne!(reading.overrides, read(&modern().to_string()).unwrap().overrides, "{name}");
            picture[name] = wrong;
            assert_eq!(refused(&picture).len(), 1, "{name}");
        }
    }

    #[test]
    fn what_is_missing_or_of_another_family_is_named() {
        assert_eq!(refused(&json!({})).len(), NEEDED.len() + 1);
        let mut picture = modern();
        picture["model"]["base"] = json!("sdxl");
        assert_eq!(refused(&picture), ["model base=sdxl"]);
        assert!(read("[]").is_none() && read("{").is_none() && read("a prompt").is_none());
    }

    #[test]
    fn samplers_have_the_names_of_invokeai() {
        for (name, kind, sigmas) in [
            ("euler", "euler", Some("normal")),
            ("euler_k", "euler", Some("karras")),
            ("euler_a", "euler-a", Some("normal")),
            ("kdpm_2", "dpm2", Some("normal")),
            ("kdpm_2_a", "dpm2-a", Some("normal")),
            ("kdpm_2_k", "dpm2", Some("karras")),
            ("dpmpp_2m_sde_k", "dpmpp-2m-sde", Some("karras")),
            ("unipc", "unipc", Some("normal")),
            ("ddim", "ddim", None),
            ("pndm", "pndm", None),
            ("lcm", "lcm", None),
            ("tcd", "tcd", None),
            ("lms_k", "lms", Some("karras")),
            ("heun", "heun", Some("normal")),
            ("ddpm", "ddpm", None),
        ] {
            let mut picture = modern();
            picture["scheduler"] = json!(name);
            let found = read(&picture.to_string()).unwrap();
            // Those whose steps draw noise draw another there.
            let draws = ["euler_a", "kdpm_2_a", "dpmpp_2m_sde_k", "ddpm", "lcm", "tcd"].contains(&name);
            assert_eq!(found.unsupported.len(), usize::from(draws), "{name}");
            assert_eq!(json!([found.overrides.scheduler, found.overrides.sigmas]), json!([kind, sigmas]), "{name}");
            assert_eq!(found.overrides.eta, (name == "tcd").then_some(1.0), "{name}");
        }
        for name in ["deis", "dpmpp_2s", "dpmpp_sde", "dpmpp_3m", "nonesuch", ""] {
            let mut picture = modern();
            picture["scheduler"] = json!(name);
            assert_eq!(refused(&picture).len(), 1, "{name}");
        }
    }

    #[test]
    fn weights_of_compel_are_named() {
        for (prompt, piece) in [
            ("a cat+ and a dog", Some("+")),
            ("a cat-- and a dog", Some("--")),
            ("a (black cat)1.3", Some("(black")),
            ("(\"a\", \"b\").and()", Some("(\"a\",")),
            ("a black-and-white cat", None),
            ("a cat - a dog", None),
            ("1 + 1", None),
            ("a \\(cat", None),
            ("", None),
        ] {
            assert_eq!(weighted(prompt), piece, "{prompt}");
        }
    }

    fn old() -> Value {
        json!({
            "model": "stable diffusion", "model_id": "stabilityai/x", "model_weights": "stable-diffusion-1.5",
            "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516", "app_id": "invoke-ai/InvokeAI",
            "app_version": "v2.3.5",
            "image": { "prompt": [{ "prompt": "a cat [blurry]", "weight": 1 }], "steps": 50, "cfg_scale": 7.5, "threshold": 0, "perlin": 0,
                "height": 512, "width": 512, "seed": 3, "seamless": false, "hires_fix": false, "type": "txt2img", "postprocessing": null,
                "sampler": "k_lms", "variations": [] },
        })
    }

    #[test]
    fn pictures_of_the_first_versions_are_read() {
        let reading = read_old(&old().to_string()).unwrap();
        assert_eq!(reading.unsupported, []);
        let found = reading.overrides;
        assert_eq!((found.prompt.as_deref(), found.negative_prompt.as_deref()), (Some("a cat"), Some("blurry")));
        assert_eq!((found.scheduler, found.seed, found.steps), (Some(SchedulerKind::Lms), Some(3), Some(50)));
        let [file] = &found.model_files.unwrap()[..] else { panic!("a file") };
        assert_eq!((file.name.as_str(), file.sha256.as_deref().map(str::len)), ("stable-diffusion-1.5", Some(64)));
        for (name, value) in [
            ("type", json!("inpaint")),
            ("threshold", json!(1.5)),
            ("perlin", json!(0.1)),
            ("seamless", json!(true)),
            ("hires_fix", json!(true)),
            ("postprocessing", json!([{ "type": "esrgan" }])),
            ("variations", json!([{ "seed": 1, "weight": 0.1 }])),
            ("init_image_path", json!("a.png")),
            ("facetool", json!("gfpgan")),
            ("new", json!(1)),
            ("prompt", json!([{ "prompt": "a" }, { "prompt": "b" }])),
            ("sampler", json!("k_unknown")),
        ] {
            let mut picture = old();
            picture["image"][name] = value;
            assert_eq!(read_old(&picture.to_string()).unwrap().unsupported.len(), 1, "{name}");
        }
        assert!(read_old("{}").is_none() && read_old(r#"{"image": 3}"#).is_none());
    }
}
