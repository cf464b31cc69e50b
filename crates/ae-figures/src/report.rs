use serde_json::Value;

use crate::Explanation;
use crate::page::{REPORT, escaped, filled, joined};

/// A report: one HTML file that needs no other and no network, with pictures, maps, losses, settings, and the trace as JSON.
pub fn report(explanation: &Explanation) -> String {
    report_of(&explanation.record(), &explanation.trace)
}

/// As [`report`], of a [record](Explanation::record) with its pictures inside.
pub fn report_of(record: &Value, trace: &Value) -> String {
    let title = record["prompt"].as_str().unwrap_or_default();
    let title = escaped(if title.is_empty() { "Attend-and-Excite" } else { title });
    filled(REPORT, |name| match name {
        "TITLE" => title.clone(),
        "STYLE" => joined("css"),
        "SCRIPT" => joined("js"),
        "RECORD" => in_script(record),
        "TRACE" => in_script(trace),
        "SCHEMA" => in_script(&ae_settings::json_schema()),
        other => unreachable!("the template has {other}"),
    })
}

/// JSON that no text in it can end early.
fn in_script(json: &Value) -> String {
    json.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::explanation;

    #[test]
    fn a_report_is_one_file() {
        let html = report(&explanation(2));
        assert!(html.starts_with("<!doctype html>") && html.contains("<title>a lion and a red car</title>"));
        let (_, json) = html.split_once("<script type=\"application/json\" id=\"record\">").unwrap();
        let record: Value = serde_json::from_str(json.split_once("</script>").unwrap().0).unwrap();
        assert_eq!(record["runs"].as_array().unwrap().len(), 2);
        for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn no_prompt_breaks_out() {
        let mut explanation = explanation(1);
        explanation.prompt = "</script><script>alert(1)</script> {{SCRIPT}} & <b>".to_owned();
        let html = report(&explanation);
        assert!(!html.contains("<script>alert") && !html.contains("<b>"));
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; {{SCRIPT}} &amp; &lt;b&gt;</title>"));
    }
}
