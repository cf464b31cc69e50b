//! Images to start from, and their masks.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::engine::png;
use crate::place::Place;

fn bring(client: Client, kind: &str, bytes: &[u8]) -> Answer {
    client.send("POST", "/api/images", &[("Content-Type", kind)], bytes)
}

fn brought(client: Client, bytes: &[u8]) -> Value {
    let answer = bring(client, "image/png", bytes);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[test]
fn a_picture_is_drawn_from_an_image_that_was_brought() {
    let place = Place::new();
    let bytes = png("{}");
    let image = brought(place.client, &bytes);
    assert_eq!((&image["width"], &image["height"]), (&json!(1), &json!(1)));
    let sha256 = image["sha256"].as_str().unwrap();
    let again = place.client.get(&format!("/api/images/{sha256}"));
    assert_eq!((again.body, again.head.contains("image/png")), (bytes, true));
    let file = json!({ "name": "/home/me/a.png", "sha256": sha256 });
    let job = place.client.submit(&json!({ "init_image": file, "mask": file, "mask_blur": 2.5, "strength": 0.5 }));
    let job = place.client.end(&job["id"]);
    assert_eq!(job["state"], "done", "{job}");
    let named = json!({ "name": "a.png", "sha256": sha256 });
    let entry = place.client.get(&format!("/api/gallery/{}", job["pictures"][0].as_str().unwrap())).json();
    let settings = &entry["settings"];
    assert_eq!((&settings["init_image"], &settings["mask"]), (&named, &named));
    assert_eq!((&settings["strength"], &settings["mask_blur"]), (&json!(0.5), &json!(2.5)));
    // What the gallery says draws it again.
    let again = place.client.post("/api/generate", settings);
    assert_eq!(again.status, 202, "{}", again.text());
    assert_eq!(place.client.end(&again.json()["id"])["state"], "done");
    assert_eq!(place.client.gallery().len(), 2, "the images are none of its entries");
}

#[test]
fn an_image_that_is_not_here_is_refused_by_its_field() {
    let place = Place::new();
    for (field, file) in [
        ("init_image", json!({ "name": "../../etc/passwd" })),
        ("init_image", json!({ "name": "a.png", "sha256": "0".repeat(64) })),
        ("mask", json!({ "name": "a.png", "sha256": "../../../etc/passwd" })),
    ] {
        let refused = place.client.post("/api/generate", &json!({ "prompt": "paint", field: file }));
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{}", refused.text());
        assert!(refused.error().contains("brought to /api/images"), "{}", refused.error());
    }
    for id in ["none", "..%2F.lock", &"0".repeat(64)] {
        assert_eq!(place.client.get(&format!("/api/images/{id}")).status, 404, "{id}");
    }
}

#[test]
fn what_is_no_image_or_beyond_the_limits_is_refused() {
    let place = Place::with(|config| (config.limits.max_pixels, config.limits.max_picture) = (3, 2000));
    let refused = |kind: &str, bytes: &[u8]| {
        let answer = bring(place.client, kind, bytes);
        (answer.status, answer.error())
    };
    assert_eq!(refused("text/plain", b"x").0, 415);
    assert_eq!(refused("image/png", &[0; 2001]), (413, "the body is larger than 2000 bytes (max_picture)".to_owned()));
    assert_eq!(refused("image/webp", b"no image").0, 422);
    let mut large = Vec::new();
    png::Encoder::new(&mut large, 2, 2).write_header().unwrap().write_image_data(&[0; 4]).unwrap();
    assert_eq!(
        refused("image/png", &large),
        (422, "this image has 2 x 2 pixels: expected at most 3 in all".to_owned())
    );
    // A few bytes that claim many.
    let mut bomb = Vec::new();
    drop(png::Encoder::new(&mut bomb, 60_000, 60_000).write_header().unwrap());
    assert_eq!(refused("image/png", &bomb).0, 422);
}

#[test]
fn a_picture_as_large_as_its_image_is_within_the_limits_too() {
    let place = Place::with(|config| config.limits.max_side = 16);
    let mut wide = Vec::new();
    png::Encoder::new(&mut wide, 17, 2).write_header().unwrap().write_image_data(&[0; 34]).unwrap();
    let sha256 = brought(place.client, &wide)["sha256"].clone();
    let mut request = json!({ "prompt": "paint", "init_image": { "name": "a.png", "sha256": sha256 }, "width": 8 });
    let refused = place.client.post("/api/generate", &request);
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("init_image")), "{}", refused.text());
    assert!(refused.error().starts_with("init_image has 17 x 2 pixels and no size is given"), "{}", refused.error());
    request["height"] = json!(8);
    assert_eq!(place.client.post("/api/generate", &request).status, 202);
}
