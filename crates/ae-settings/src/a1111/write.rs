//! Options as the text.

use std::fmt::{self, Write};

use serde_json::{Map, Value};

use super::fields::{NEGATIVE, quote};
use super::sampler::schedule_name;
use super::{MASK_INVERTED, ONLY_MASKED, OWN_KEY, OWN_VERSION, SHORT_HASH, read, stem};
use crate::{FileRef, Group, NoiseKind, OptionInfo, PromptSyntax, SchedulerKind, Settings};

/// The characters of a prompt that are not text.
const SYNTAX: [char; 5] = ['(', ')', '[', ']', '\\'];

/// Writes the text of a picture that was drawn.
///
/// What [`read`](read()) would not find in the other fields stands in the field [`OWN_KEY`]; what a run records of itself, such as
/// its device, does not.
pub fn write(settings: &Settings) -> String {
    text(settings, &own_options(settings, &text(settings, &Map::new())))
}

/// The options that a text does not say.
fn own_options(settings: &Settings, text: &str) -> Map<String, Value> {
    let read = Settings::combine([&read(text).overrides]).unwrap_or_default();
    let is_said = as_said(settings).to_json();
    let read = as_said(&read).to_json();
    let mut all = Settings { long_prompts: Some(settings.way_with_long_prompts()), ..settings.clone() }.to_json();
    all.retain(|name, _| {
        let is_record = |option: &OptionInfo| option.name == name && option.group == Group::Record;
        !Settings::OPTIONS.iter().any(is_record) && is_said.get(name) != read.get(name)
    });
    all
}

/// Settings whose files have the names and hashes of a text.
fn as_said(settings: &Settings) -> Settings {
    let mut said = Settings { long_prompts: Some(settings.way_with_long_prompts()), ..settings.clone() };
    let shorten = |name: &mut String, sha256: &mut Option<String>| {
        *name = stem(name).to_owned();
        *sha256 = sha256.as_deref().map(short);
    };
    said.vae.iter_mut().for_each(|file| shorten(&mut file.name, &mut file.sha256));
    said.loras.iter_mut().for_each(|lora| shorten(&mut lora.name, &mut lora.sha256));
    said.embeddings.iter_mut().for_each(|embedding| shorten(&mut embedding.name, &mut embedding.sha256));
    said
}

fn text(settings: &Settings, own_options: &Map<String, Value>) -> String {
    let loras = settings.loras.iter().fold(String::new(), |mut tags, lora| {
        let _ = write!(tags, " <lora:{}:{}", stem(&lora.name), lora.strength);
        let _ = lora.unet_strength.map(|strength| write!(tags, ":{strength}"));
        tags + ">"
    });
    let is_text = settings.prompt_syntax == PromptSyntax::Plain;
    let prompt = |prompt| if is_text { escape(prompt) } else { String::from(prompt) };
    let mut text = format!("{}{loras}\n", prompt(&settings.prompt));
    if !settings.negative_prompt.is_empty() {
        let _ = writeln!(text, "{NEGATIVE} {}", prompt(&settings.negative_prompt));
    }

    let mut fields = Fields(Vec::new());
    fields.add("Steps", settings.steps);
    if let Some(scheduler) = settings.scheduler {
        fields.add("Sampler", scheduler.a1111_name());
        fields.maybe("Schedule type", schedule_name(scheduler, settings.sigmas));
        fields.maybe("Eta DDIM", (scheduler == SchedulerKind::Ddim && settings.eta > 0.0).then_some(settings.eta));
    }
    fields.add("CFG scale", settings.guidance_scale);
    fields.add("Seed", settings.seed);
    fields.maybe("Size", settings.width.zip(settings.height).map(|(width, height)| format!("{width}x{height}")));
    if let Some(model) = &settings.model {
        // A model of several files has no hash there.
        if let [FileRef { sha256: Some(sha256), .. }] = &settings.model_files[..] {
            fields.add("Model hash", short(sha256));
        }
        fields.add("Model", stem(model));
    }
    if let Some(vae) = &settings.vae {
        fields.maybe("VAE hash", vae.sha256.as_deref().map(short));
        fields.add("VAE", vae.base_name());
    }
    if settings.init_image.is_some() {
        fields.maybe("Denoising strength", settings.strength);
    }
    if settings.mask.is_some() {
        fields.maybe("Mask mode", settings.mask_invert.then_some(MASK_INVERTED));
        fields.maybe("Mask blur", (settings.mask_blur > 0.0).then_some(settings.mask_blur));
        fields.maybe("Inpaint area", settings.mask_padding.map(|_| ONLY_MASKED));
        fields.maybe("Masked area padding", settings.mask_padding);
    }
    if settings.clip_skip > 0 {
        fields.add("Clip skip", settings.clip_skip + 1);
    }
    fields.add("RNG", if settings.rng == NoiseKind::TorchCpu { "CPU" } else { "GPU" });
    fields.maybe("Lora hashes", hashes(settings.loras.iter().map(|lora| (&lora.name, &lora.sha256))));
    fields.maybe("TI hashes", hashes(settings.embeddings.iter().map(|embedding| (&embedding.name, &embedding.sha256))));
    if !own_options.is_empty() {
        fields.add(OWN_KEY, Value::from(own_options.clone()));
    }
    fields.add("Version", format!("{OWN_VERSION} {}", settings.version));
    text + &fields.0.join(", ")
}

/// A prompt whose brackets are text, for readers to whom they are weights.
fn escape(prompt: &str) -> String {
    prompt.chars().flat_map(|symbol| SYNTAX.contains(&symbol).then_some('\\').into_iter().chain([symbol])).collect()
}

struct Fields(Vec<String>);

impl Fields {
    fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.maybe(name, Some(value));
    }

    fn maybe(&mut self, name: &str, value: Option<impl fmt::Display>) {
        self.0.extend(value.map(|value| format!("{name}: {}", quote(&value.to_string()))));
    }
}

/// The hashes of files by their names, if there are any.
fn hashes<'a>(files: impl Iterator<Item = (&'a String, &'a Option<String>)>) -> Option<String> {
    let pairs =
        files.filter_map(|(name, sha256)| Some((stem(name).replace([':', ','], ""), short(sha256.as_deref()?))));
    let pairs: Vec<_> = pairs.map(|(name, hash)| format!("{name}: {hash}")).collect();
    (!pairs.is_empty()).then(|| pairs.join(", "))
}

fn short(sha256: &str) -> String {
    sha256.chars().take(SHORT_HASH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EmbeddingRef, FloatType, LongPrompts, LoraRef, Method, PairDistance, PredictionType, SigmaSpacing, StepIndex,
        Thresholds, TimestepSpacing,
    };

    /// A small generator of numbers.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, count: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % count
        }

        fn one<T: Clone>(&mut self, of: &[T]) -> T {
            of[self.below(of.len())].clone()
        }

        fn maybe<T: Clone>(&mut self, of: &[T]) -> Option<T> {
            (self.below(3) > 0).then(|| self.one(of))
        }

        fn some<T>(&mut self, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
            (0..self.below(3)).map(|_| draw(self)).collect()
        }

        fn file(&mut self) -> FileRef {
            let name = self.one(&["a.safetensors", "Ink v2.pt", "sd-v1.4", "x:y, z.ckpt", "plain", "<t>.bin", "é>.pt"]);
            let sha256 = (self.below(4) > 0).then(|| (0..64).map(|_| self.one(&['0', '7', 'a', 'f'])).collect());
            FileRef { name: name.to_owned(), sha256 }
        }

        fn settings(&mut self) -> Settings {
            let prompts = [
                "a cat and a dog",
                "",
                "a (cat:1.3) and [dog]",
                "one,\ntwo: three",
                " blanks ",
                "<toy> & <lora:x:1>",
                "a \\(cat\\) AND BREAK",
                "Steps: 3, a: b, c: d",
                "a\nNegative prompt: x",
                "\u{1f431}\r\n \"quoted\"",
                "[a:b:3]",
            ];
            let lora = |draw: &mut Self| {
                let FileRef { name, sha256 } = draw.file();
                LoraRef {
                    sha256,
                    unet_strength: draw.maybe(&[0.0, 0.7]),
                    ..LoraRef::new(name, draw.one(&[1.0, -0.5, 0.1 + 0.2]))
                }
            };
            let embedding = |draw: &mut Self| {
                let FileRef { name, sha256 } = draw.file();
                EmbeddingRef { name, sha256, token: draw.maybe(&["<t>".to_owned(), "plain".to_owned()]) }
            };
            let mut settings = Settings {
                prompt: self.one(&prompts).to_owned(),
                negative_prompt: self.one(&prompts).to_owned(),
                seed: self.one(&[0, 3, u64::MAX]),
                method: self.one(Method::ALL),
                rng: self.one(NoiseKind::ALL),
                steps: 1 + self.below(100),
                guidance_scale: self.one(&[7.5, 7.0, -1.0, 0.1 + 0.2]),
                height: self.maybe(&[512, 768]),
                width: self.maybe(&[512, 64]),
                scheduler: self.maybe(SchedulerKind::ALL),
                timestep_spacing: self.maybe(TimestepSpacing::ALL),
                sigmas: self.maybe(SigmaSpacing::ALL),
                eta: self.one(&[0.0, 1.0, 0.1 + 0.2]),
                correct_altered_steps: self.one(&[true, false]),
                guidance_rescale: self.one(&[0.0, 0.7]),
                vae_tiling: self.one(&[true, false]),
                clip_skip: self.below(3),
                prompt_syntax: self.one(PromptSyntax::ALL),
                long_prompts: self.maybe(LongPrompts::ALL),
                model: self.maybe(&["sd15", "org/name@main", "x/y.safetensors"].map(str::to_owned)),
                dtype: self.one(FloatType::ALL),
                variant: self.maybe(&["fp16", "non_ema"].map(str::to_owned)),
                prediction_type: self.maybe(PredictionType::ALL),
                loras: self.some(lora),
                embeddings: self.some(embedding),
                model_files: self.some(Self::file),
                vae: (self.below(2) > 0).then(|| self.file()),
                init_image: (self.below(3) == 0).then(|| self.file()),
                strength: self.maybe(&[0.8, 0.25]),
                mask: (self.below(2) == 0).then(|| self.file()),
                mask_blur: self.one(&[0.0, 4.0, 0.1 + 0.2]),
                mask_padding: self.maybe(&[0, 32]),
                mask_invert: self.one(&[true, false]),
                mask_overlay: self.one(&[true, false]),
                ..Settings::default()
            };
            match self.below(3) {
                0 => settings.subjects = Some(vec!["cat".to_owned(), "red car, \"x\"".to_owned()]),
                1 => settings.token_indices = Some(vec![2, 5]),
                _ => {}
            }
            if settings.method == Method::StructureDiffusion {
                settings.phrases = self.maybe(&[vec!["a cat".to_owned()]]);
            }
            if settings.method.guides() {
                settings.attend_and_excite.thresholds = self.one(&[Thresholds::none(), Thresholds::default()]);
                settings.attend_and_excite.max_iter_to_alter =
                    self.one(&[StepIndex::Steps(9), StepIndex::Percent(12.5)]);
                settings.attend_and_excite.attention_res = self.maybe(&[[16, 16], [12, 20]]);
            }
            if settings.method == Method::Ebama {
                settings.pairs = self.maybe(&[vec!["red:cat".parse().unwrap()], Vec::new()]);
                settings.intensity = self.maybe(&[0.0, 0.5]);
                settings.distance = self.maybe(PairDistance::ALL);
            }
            if settings.method == Method::BoxDiff {
                settings.boxes = self.some(|_| "cat:0,0.1,0.5,1".parse().unwrap());
            }
            settings
        }
    }

    /// What of settings decides the picture, with names and hashes as the text says them.
    fn decisive(settings: &Settings) -> Map<String, Value> {
        let mut all = as_said(settings).to_json();
        all.retain(|name, _| Settings::OPTIONS.iter().all(|o| o.name != name || o.group != Group::Record));
        all
    }

    #[test]
    fn settings_are_the_same_after_the_text() {
        let mut draw = Draw(3);
        for _ in 0..1000 {
            let settings = draw.settings();
            let text = write(&settings);
            let reading = read(&text);
            assert_eq!(reading.unsupported, [], "{text}");
            let again = Settings::combine([&reading.overrides]).unwrap();
            assert_eq!(decisive(&again), decisive(&settings), "{text}");
        }
    }

    #[test]
    fn a_plain_picture_needs_no_key_of_ours() {
        let sha256 = Some("0123456789abcdef".repeat(4));
        let settings = Settings {
            prompt: "a cat".to_owned(),
            negative_prompt: "blurry".to_owned(),
            method: Method::StableDiffusion,
            scheduler: Some(SchedulerKind::DpmSolverMultistep),
            sigmas: Some(SigmaSpacing::Karras),
            height: Some(768),
            width: Some(512),
            clip_skip: 1,
            model: Some("models/v1-5.safetensors".to_owned()),
            model_files: vec![FileRef { name: "v1-5.safetensors".to_owned(), sha256: sha256.clone() }],
            vae: Some(FileRef { name: "mse.safetensors".to_owned(), sha256: sha256.clone() }),
            loras: vec![LoraRef { sha256, ..LoraRef::new("ink.safetensors", 0.8) }],
            version: "0.1.0".to_owned(),
            ..Settings::default()
        };
        let expected = "a cat <lora:ink:0.8>\nNegative prompt: blurry\nSteps: 50, Sampler: DPM++ 2M, Schedule type: Karras, CFG \
            scale: 7.5, Seed: 42, Size: 512x768, Model hash: 0123456789, Model: v1-5, VAE hash: 0123456789, VAE: \
            mse.safetensors, Clip skip: 2, RNG: CPU, Lora hashes: \"ink: 0123456789\", Version: attend-and-excite-rs 0.1.0";
        let settings = Settings { model: Some("v1-5".to_owned()), ..settings };
        assert_eq!(write(&settings), expected);
    }

    #[test]
    fn guidance_is_named_in_a_key_of_its_own() {
        let subjects = Some(vec!["cat".to_owned(), "dog".to_owned()]);
        let settings = Settings { prompt: "a cat and a dog".to_owned(), subjects, ..Settings::default() };
        let text = write(&settings);
        let (_, own) = text.split_once("Attend-and-Excite: ").unwrap();
        let own: String = serde_json::Deserializer::from_str(own).into_iter().next().unwrap().unwrap();
        let own: Value = serde_json::from_str(&own).unwrap();
        assert_eq!((&own["method"], &own["subjects"][1]), (&Value::from("attend-and-excite"), &Value::from("dog")));
        assert_eq!(own["attend_and_excite"]["scale_factor"], 20.0);
        assert_eq!(own.as_object().unwrap().len(), 3);
    }

    #[test]
    fn brackets_that_are_text_are_text_for_other_readers() {
        let settings = Settings { prompt: "a (cat) \\o/".to_owned(), ..Settings::default() };
        assert!(write(&settings).starts_with("a \\(cat\\) \\\\o/\n"));
        let settings = Settings { prompt_syntax: PromptSyntax::A1111, ..settings };
        assert!(write(&settings).starts_with("a (cat) \\o/\n"));
    }
}
