use ae_pipeline::{Method, Picture, Pipeline, Request, SchedulerKind};
use serde_json::{Value, json};

/// Everything needed to draw a picture again.
pub(crate) struct Record {
    settings: Value,
    trace: Option<Value>,
}

impl Record {
    /// The record of one picture.
    pub(crate) fn new(pipeline: &Pipeline, request: &Request, picture: &Picture) -> Self {
        let mut record = Self::of_grid(pipeline, request);
        record.settings["seed"] = json!(picture.seed);
        record.settings["subjects"] = json!(picture.trace.subjects);
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
        if let Method::AttendAndExcite { settings: guidance, attention_resolution, eot_normalization, .. } =
            &request.method
        {
            let smoothing = guidance.smoothing;
            settings["attend_and_excite"] = json!({
                "max_iter_to_alter": guidance.max_iter_to_alter,
                "thresholds": guidance.thresholds,
                "max_refinement_steps": guidance.max_refinement_steps,
                "scale_factor": guidance.scale_factor,
                "scale_range": guidance.scale_range,
                "attention_scale": guidance.attention_scale,
                "attention_res": attention_resolution,
                "sigma": smoothing.map(|smoothing| smoothing.sigma),
                "kernel_size": smoothing.map(|smoothing| smoothing.kernel_size),
                "eot_normalization": eot_normalization.name(),
            });
        }
        Self { settings, trace: None }
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
        let subjects = self.settings["subjects"].as_array().map(|subjects| {
            let name = |subject: &Value| subject["text"].as_str().unwrap_or_default().to_owned();
            subjects.iter().map(name).collect::<Vec<_>>().join(", ")
        });
        let chunks = [
            ("Software", format!("attend-and-excite-rs {}", env!("CARGO_PKG_VERSION"))),
            ("prompt", text("prompt")),
            ("negative_prompt", text("negative_prompt")),
            ("subjects", subjects.unwrap_or_default()),
            ("seed", text("seed")),
            ("model", text("model")),
            ("settings", self.settings_json()),
        ];
        // A text chunk holds no NUL; the settings escape it.
        chunks.into_iter().map(|(key, text)| (key, text.replace('\0', "\u{fffd}"))).collect()
    }
}
