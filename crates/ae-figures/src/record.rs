use serde_json::{Value, json};

use crate::colors::palette_hex;
use crate::data_uri::png;
use crate::refinement::Refinement;
use crate::{Explanation, Step};

/// The version of the format.
const FORMAT: u32 = 1;

impl Explanation {
    /// The whole run as JSON, with its pictures inside. `page/view.js` shows it.
    pub fn record(&self) -> Value {
        let pictures: Vec<_> = self.runs.iter().map(|run| png(&run.picture)).collect();
        self.record_with_pictures(&pictures)
    }

    /// The whole run as JSON, with the addresses of its pictures, one for each run.
    pub fn record_with_pictures(&self, pictures: &[impl AsRef<str>]) -> Value {
        let runs = self.runs.iter().zip(pictures).map(|(run, picture)| {
            let steps: Vec<_> = run.steps.iter().map(Step::to_json).collect();
            json!({ "method": run.method, "picture": picture.as_ref(), "found": run.found, "steps": steps })
        });
        json!({
            "format": FORMAT,
            "prompt": self.prompt,
            "seed": self.seed,
            "command": self.command,
            "settings": self.settings,
            "defaults": self.defaults,
            "tokens": self.tokens,
            "subjects": self.subjects,
            "terms": self.terms,
            "refinement": Refinement::of(self),
            "maps": self.layers_note(),
            "palette": palette_hex(),
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explanation;

    #[test]
    fn a_record_has_everything() {
        let explanation = explanation(2);
        let record = explanation.record();
        assert_eq!((&record["seed"], &record["subjects"][1]["text"]), (&7.into(), &"car".into()));
        assert_eq!(record["terms"][1], serde_json::json!({ "name": "car", "subject": 1 }));
        assert_eq!((&record["tokens"][2]["kind"], &record["tokens"][2]["subject"]), (&"text".into(), &0.into()));
        assert_eq!(record["runs"][1]["method"], "stable-diffusion");
        assert!(record["runs"][0]["picture"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"));
        assert_eq!(record["runs"][0]["steps"].as_array().unwrap().len(), 50);
        let record = explanation.record_with_pictures(&["a.png", "b.png"]);
        assert_eq!(record["runs"][1]["picture"], "b.png");
    }
}
