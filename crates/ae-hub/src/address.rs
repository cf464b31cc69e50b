//! What to do with an address on the web where a model was expected.

use crate::model_id::is_single_file;

/// Hosts of the hub's own pages.
const HUB: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/// How to have the model of an address, or of a name of Civitai's; none for other texts. Nothing is fetched from an address: what is
/// there is not known, nor whether it stays.
pub(crate) fn advice(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("civitai:") || lower.starts_with("urn:air:") {
        return Some(of_civitai(text.rsplit_once('@').map(|(_, version)| version)));
    }
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.to_ascii_lowercase();
    let name = HUB.contains(&host.as_str()).then(|| hub_name(path)).flatten();
    Some(match name {
        Some(name) => format!("name it '{name}'"),
        None if host.trim_start_matches("www.").starts_with("civitai.") => of_civitai(version(path)),
        None => {
            let quoted = text.replace('\'', "%27");
            format!("download it first (curl -L -O '{quoted}') and pass the file")
        }
    })
}

/// A page of the hub, `ORG/NAME` or `ORG/NAME/(tree|blob|resolve|raw)/REVISION/PATH`, as a name.
fn hub_name(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let mut parts = path.splitn(5, '/');
    let (owner, name) = (parts.next()?, parts.next()?);
    if ["api", "datasets", "spaces"].contains(&owner) {
        return None;
    }
    let (_, revision, inside) = (parts.next(), parts.next(), parts.next());
    let inside = match inside {
        Some(file) if is_single_file(file) => format!("/{file}"),
        Some(folder) => format!(":{folder}"),
        None => String::new(),
    };
    let revision = revision.filter(|revision| *revision != "main").map(|revision| format!("@{revision}"));
    Some(format!("{owner}/{name}{inside}{}", revision.unwrap_or_default()))
}

/// The number of a model's version in an address of Civitai.
fn version(path: &str) -> Option<&str> {
    let rest = ["modelVersionId=", "api/download/models/"].iter().find_map(|before| path.split_once(before))?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()
}

fn of_civitai(version: Option<&str>) -> String {
    let is_number = |version: &&str| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    match version.filter(is_number) {
        Some(version) => format!(
            "download it first (curl -L -o model.safetensors 'https://civitai.com/api/download/models/{version}', with ?token=KEY \
             behind it where the site asks for an account) and pass the file"
        ),
        None => "download it first, by the button on its page, and pass the file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelId;

    #[test]
    fn a_page_of_the_hub_is_said_as_a_name_that_is_understood() {
        for (address, name) in [
            ("https://huggingface.co/org/name", "org/name"),
            ("https://huggingface.co/org/name/", "org/name"),
            ("HTTPS://HF.co/org/name/tree/v1", "org/name@v1"),
            ("https://huggingface.co/org/name/tree/main/sub/folder", "org/name:sub/folder"),
            ("https://huggingface.co/org/name/blob/main/x.safetensors", "org/name/x.safetensors"),
            ("https://huggingface.co/org/name/resolve/v1/a/x.ckpt?download=true", "org/name/a/x.ckpt@v1"),
        ] {
            assert_eq!(advice(address), Some(format!("name it '{name}'")));
            assert_eq!(ModelId::parse(name).unwrap().to_string(), name);
            assert!(ModelId::parse(address).unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn a_model_of_civitai_is_downloaded_by_its_version() {
        for text in [
            "https://civitai.com/models/4201/realistic?modelVersionId=130072",
            "https://civitai.com/api/download/models/130072?type=Model",
            "https://www.civitai.com/models/4201?modelVersionId=130072#x",
            "civitai:4201@130072",
            "urn:air:sd1:checkpoint:civitai:4201@130072",
        ] {
            let advice = advice(text).unwrap();
            assert!(advice.contains("'https://civitai.com/api/download/models/130072'"), "{text}: {advice}");
        }
        for text in ["https://civitai.com/models/4201", "civitai:4201", "civitai:4201@x'; rm -rf"] {
            assert!(advice(text).unwrap().contains("button on its page"), "{text}");
        }
    }

    #[test]
    fn any_other_address_is_downloaded_first() {
        assert!(
            advice("https://example.org/a'b.ckpt").unwrap().contains("curl -L -O 'https://example.org/a%27b.ckpt'")
        );
        for text in [
            "ftp://example.org/x.ckpt",
            "http://example.org",
            "s3://bucket/x",
            "https://huggingface.co.evil.org/a/b",
            "https://huggingface.co/datasets/a/b",
        ] {
            assert!(advice(text).unwrap().contains("pass the file"), "{text}");
        }
        for text in ["org/name", "./model.ckpt", "C:/model", "sd14", "", "a b://c"] {
            assert_eq!(advice(text), None, "{text}");
        }
    }
}
