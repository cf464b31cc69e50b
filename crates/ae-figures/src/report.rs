use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use crate::Explanation;
use crate::page::{joined, one_file};

/// A report: one HTML file that needs no other and no network, with pictures, maps, losses, settings, and the trace as JSON.
pub fn report(explanation: &Explanation) -> String {
    report_of(&explanation.record(), &explanation.trace)
}

/// As [`report`], of a [record](Explanation::record) with its pictures inside.
pub fn report_of(record: &Value, trace: &Value) -> String {
    let prompt = record["prompt"].as_str().unwrap_or_default();
    let title = if prompt.is_empty() { "Attend-and-Excite" } else { prompt };
    let policy = "img-src data: blob:; script-src 'unsafe-inline'";
    one_file(title, policy, &joined("css"), &body(title, record, trace)).into_string()
}

fn body(title: &str, record: &Value, trace: &Value) -> Markup {
    html! {
        header {
            h1 { (title) }
            p #summary {}
        }
        noscript {
            p.notice {
                "This report draws its pictures, maps and curves with JavaScript, which is switched off here. All data are in this \
                 file, as JSON."
            }
        }
        main {
            section #pictures aria-label="Pictures" {}
            section aria-labelledby="run-heading" {
                h2 #run-heading { "Step by step" }
                div #run {}
            }
            section aria-labelledby="settings-heading" {
                h2 #settings-heading { "Settings" }
                div #settings {}
            }
            section aria-labelledby="command-heading" {
                h2 #command-heading { "Reproduce this picture" }
                pre #command tabindex="0" role="region" aria-label="Command" {}
                p.actions {
                    button #copy-command type="button" { "Copy the command" }
                    a #save-trace.button { "Save the trace as JSON" }
                    span #copy-status role="status" {}
                }
            }
        }
        script type="application/json" id="record" { (in_script(record)) }
        script type="application/json" id="trace" { (in_script(trace)) }
        script type="application/json" id="schema" { (in_script(&ae_settings::json_schema())) }
        script type="module" { (PreEscaped(joined("js"))) }
    }
}

/// JSON that no text in it can end early.
fn in_script(json: &Value) -> PreEscaped<String> {
    PreEscaped(json.to_string().replace('<', "\\u003c"))
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
