use serde_json::json;

use super::Report;
use crate::{FLIPS, LEVEL, PUBLISHED_SOURCE, RESAMPLES, SEED};

/// Changes when a reader of an older file could misunderstand a newer one.
const VERSION: u32 = 1;

impl Report {
    /// The plan, the scorers and every figure of the tables.
    ///
    /// # Panics
    ///
    /// Never: all of it is JSON, and checked to be finite.
    pub fn json(&self) -> String {
        let pictures = self.plan.arms.iter().map(|arm| json!({ "arm": arm.name, "scored": self.scored(&arm.name) }));
        let report = json!({
            "version": VERSION,
            "plan": self.plan,
            "scorers": self.scorers,
            "statistics": {
                "unit": "prompt",
                "interval": "percentile bootstrap",
                "interval_without_width": "Wilson over prompts for shares, else none",
                "level": LEVEL,
                "resamples": RESAMPLES,
                "test": "paired sign flips",
                "flips": FLIPS,
                "seed": SEED,
            },
            "published": PUBLISHED_SOURCE,
            "planned": self.planned(),
            "unplanned": self.unplanned(),
            "pictures": pictures.collect::<Vec<_>>(),
            "metrics": self.figures,
            "costs": self.costs,
        });
        serde_json::to_string_pretty(&report).expect("plain data") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{plan, report, scores};

    #[test]
    fn the_file_holds_plan_scorers_and_figures() {
        let report = report(&scores());
        let read: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(read["version"], 1);
        assert_eq!(read["plan"], serde_json::to_value(plan()).unwrap());
        assert_eq!(read["scorers"][1]["name"], "blip");
        assert_eq!(read["metrics"].as_array().unwrap().len(), 3);
        let arm = &read["metrics"][0]["groups"][2]["arms"][1];
        assert_eq!((&arm["arm"], &arm["estimate"]["pictures"]), (&json!("attend-and-excite"), &json!(12)));
        assert_eq!(arm["comparison"]["changes"]["gained"], 7);
        let estimate = report.figures()[0].groups[2].arms[1].estimate.unwrap();
        for (read, figure) in [("low", estimate.interval.unwrap().low), ("high", estimate.interval.unwrap().high)] {
            assert!((arm["estimate"]["interval"][read].as_f64().unwrap() - figure).abs() < 1e-12);
        }
        assert_eq!(read["pictures"][2], json!({ "arm": "all|steps", "scored": 2 }));
        assert_eq!(read["metrics"][2]["groups"][0]["arms"][2]["estimate"], Value::Null);
    }
}
