use ae_pipeline::{Method, PhraseChoice, Picture, Pipeline, Request, SchedulerKind, SubjectChoice, subject_name};
use serde_json::{Value, json};

/// Everything needed to draw a picture again.
pub(crate) struct Record {
    settings: Value,
    /// The texts of the subjects.
    subjects: String,
    trace: Option<Value>,
}

impl Record {
    /// The record of one picture.
    pub(crate) fn new(pipeline: &Pipeline, request: &Request, picture: &Picture) -> Self {
        let mut record = Self::of_grid(pipeline, request);
        record.settings["seed"] = json!(picture.seed);
        let texts = picture.trace.subjects.iter().map(|subject| subject.text.as_str());
        record.subjects = texts.collect::<Vec<_>>().join(", ");
        record.trace = serde_json::to_value(&picture.trace).ok();
        record
    }

    /// The record of a request without its seed.
    pub(crate) fn of_grid(pipeline: &Pipeline, request: &Request) -> Self {
        let [height, width] = pipeline.default_size();
        let scheduler = request.scheduler.or_else(|| pipeline.default_scheduler().ok());
        let mut settings = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "model": pipeline.name(),
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "prompt_weighting": request.prompt_weighting,
            "clip_skip": request.clip_skip,
            "strength": request.init_image.as_ref().map(|init| init.strength),
            "rng": request.noise.name(),
            "steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "height": request.height.unwrap_or(height),
            "width": request.width.unwrap_or(width),
            "scheduler": scheduler.map(SchedulerKind::name),
            "method": request.method.name(),
        });
        if let Method::AttendAndExcite { subjects, settings: guidance, attention_resolution, eot_normalization } =
            &request.method
        {
            match subjects {
                SubjectChoice::Indices(indices) => settings["token_indices"] = json!(indices),
                choice => settings["subjects"] = json!(subject_names(pipeline, request, choice)),
            }
            let smoothing = guidance.smoothing;
            settings["attend_and_excite"] = json!({
                "max_iter_to_alter": guidance.max_iter_to_alter,
                "thresholds": guidance.thresholds,
                "max_refinement_steps": guidance.max_refinement_steps,
                "scale_factor": guidance.scale_factor,
                "scale_range": guidance.scale_range,
                "attention_scale": guidance.attention_scale,
                "attention_res": attention_resolution,
                "smoothing": smoothing.is_some(),
                "sigma": smoothing.map(|smoothing| smoothing.sigma),
                "kernel_size": smoothing.map(|smoothing| smoothing.kernel_size),
                "eot_normalization": eot_normalization.name(),
            });
        }
        if let Method::StructureDiffusion { phrases } = &request.method {
            settings["phrases"] = json!(phrase_texts(pipeline, request, phrases));
        }
        Self { settings, subjects: String::new(), trace: None }
    }

    /// The settings that do not depend on the prompt.
    pub(crate) fn settings_of_any_prompt(&self) -> Value {
        let mut settings = self.settings.clone();
        for key in ["prompt", "subjects", "token_indices", "phrases"] {
            settings.as_object_mut().expect("an object").remove(key);
        }
        settings
    }

    /// By the name under which the model can be asked for again.
    pub(crate) fn of_model(mut self, name: &str) -> Self {
        self.settings["model"] = json!(name);
        self
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Value {
        &self.settings
    }

    /// Losses, refinement and times of every step.
    pub(crate) fn trace(&self) -> Value {
        self.trace.clone().unwrap_or_default()
    }

    /// The settings on one line.
    pub(crate) fn settings_json(&self) -> String {
        self.settings.to_string()
    }

    /// Settings and trace, for a file of their own.
    pub(crate) fn trace_json(&self) -> String {
        format!("{:#}\n", json!({ "settings": self.settings, "trace": self.trace }))
    }

    /// Keys and texts for the picture's file.
    pub(crate) fn text_chunks(&self) -> Vec<(&'static str, String)> {
        let text = |key: &str| match &self.settings[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let chunks = [
            ("Software", format!("attend-and-excite-rs {}", env!("CARGO_PKG_VERSION"))),
            ("prompt", text("prompt")),
            ("negative_prompt", text("negative_prompt")),
            ("subjects", self.subjects.clone()),
            ("seed", text("seed")),
            ("model", text("model")),
            ("settings", self.settings_json()),
        ];
        // A text chunk holds no NUL; the settings escape it.
        chunks.into_iter().map(|(key, text)| (key, text.replace('\0', "\u{fffd}"))).collect()
    }
}

/// The phrases of a choice, as `--phrases` takes them.
fn phrase_texts(pipeline: &Pipeline, request: &Request, choice: &PhraseChoice) -> Option<Vec<String>> {
    let prompt = pipeline.tokenize_for(request, &request.prompt).ok()?.prompt;
    Some(choice.resolve(&prompt).ok()?.into_iter().map(|phrase| phrase.text).collect())
}

/// What names the subjects of a choice, so that naming them gives the same ones.
fn subject_names(pipeline: &Pipeline, request: &Request, choice: &SubjectChoice) -> Option<Vec<String>> {
    let prompt = pipeline.tokenize_for(request, &request.prompt).ok()?.prompt;
    let subjects = choice.resolve(&prompt).ok()?;
    let word = |positions: &[usize]| prompt.words().iter().position(|word| word.positions == positions);
    subjects.iter().map(|subject| Some(subject_name(&prompt, word(&subject.positions)?))).collect()
}
