//! Search, favourites, the trash and the zip file of a gallery.

use std::io::Cursor;

use serde_json::{Value, json};
use zip::ZipArchive;

use crate::client::{Answer, Client};
use crate::place::Place;

/// Draws a picture for every request; the names of their entries.
fn draw<const N: usize>(client: Client, requests: [Value; N]) -> [String; N] {
    requests.map(|request| {
        let job = client.submit(&request);
        client.end(&job["id"])["pictures"][0].as_str().unwrap().to_owned()
    })
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

fn set_favourite(client: Client, id: &str, favourite: bool) -> Answer {
    let body = json!({ "favourite": favourite }).to_string();
    let headers = [("Content-Type", "application/json")];
    client.send("PATCH", &format!("/api/gallery/{id}"), &headers, body.as_bytes())
}

#[test]
fn entries_are_found_by_what_they_are() {
    let place = Place::new();
    let client = place.client;
    let [lion, cat, dog] = draw(
        client,
        [
            json!({ "prompt": "Ein LÖWE and a cat" }),
            json!({ "prompt": "a cat", "method": "stable-diffusion" }),
            json!({ "prompt": "a dog", "model": "paint" }),
        ],
    );
    let found = |query: &str| client.get(&format!("/api/gallery?{query}")).json();
    assert_eq!(ids(&found("search=cat")), [&*cat, &lion]);
    assert_eq!(ids(&found("search=CAT%20l%C3%B6w")), [&*lion]);
    assert_eq!(ids(&found("search=mouse")), [""; 0]);
    assert_eq!(ids(&found("method=stable-diffusion")), [&*cat]);
    assert_eq!(ids(&found("method=attend-and-excite&search=a")), [&*dog, &lion]);
    assert_eq!(ids(&found("model=Paint%201")), [&*dog, &cat, &lion]);
    assert_eq!(ids(&found("model=other")), [""; 0]);
    let job = dog.rsplit_once('-').unwrap().0;
    assert_eq!(ids(&found(&format!("job={job}"))), [&*dog]);
    // Pages of what is found.
    let first = found("search=cat&limit=1");
    assert_eq!((ids(&first), &first["more"], &first["total"]), (vec![&*cat], &json!(true), &json!(3)));
    let second = found(&format!("search=cat&limit=1&before={cat}"));
    assert_eq!((ids(&second), &second["more"]), (vec![&*lion], &json!(false)));
    // What cannot be wanted is said.
    for query in ["method=magic", "favourite=perhaps", "colour=red"] {
        assert_eq!(client.get(&format!("/api/gallery?{query}")).status, 400, "{query}");
    }
}

#[test]
fn favourites_outlive_the_server() {
    let mut place = Place::new();
    let [one, other] = draw(place.client, [json!({}), json!({})]);
    let marked = set_favourite(place.client, &one, true);
    assert_eq!((marked.status, &marked.json()["favourite"]), (200, &json!(true)), "{}", marked.text());
    assert_eq!(set_favourite(place.client, &one, true).json()["favourite"], true);
    assert_eq!(set_favourite(place.client, &other, false).json()["favourite"], false);
    assert_eq!(set_favourite(place.client, "1700000000000-000000-000", true).status, 404);
    assert_eq!(set_favourite(place.client, "../..", true).status, 404);
    place.stop();
    let gallery = place.gallery();
    let again = Place::with(|config| config.gallery.clone_from(&gallery));
    assert_eq!(ids(&again.client.get("/api/gallery?favourite=true").json()), [&*one]);
    assert_eq!(ids(&again.client.get("/api/gallery?favourite=false").json()), [&*other]);
    assert_eq!(set_favourite(again.client, &one, false).json()["favourite"], false);
    assert_eq!(ids(&again.client.get("/api/gallery?favourite=true").json()), [""; 0]);
}

#[test]
fn what_is_deleted_comes_back_whole() {
    let mut place = Place::new();
    let [one, other] = draw(place.client, [json!({ "compare": true }), json!({})]);
    set_favourite(place.client, &one, true);
    let entry = place.client.get(&format!("/api/gallery/{one}")).json();
    assert_eq!(place.client.delete(&format!("/api/gallery/{one}")).status, 204);
    assert_eq!(place.client.gallery(), [&*other]);
    for name in ["", "/picture.png", "/run.json"] {
        assert_eq!(place.client.get(&format!("/api/gallery/{one}{name}")).status, 404);
    }
    place.stop();
    let gallery = place.gallery();
    let client = Place::with(|config| config.gallery.clone_from(&gallery));
    let client = client.client;
    let trash = client.get("/api/trash").json();
    assert_eq!((&trash["entries"], &trash["total"]), (&json!([entry]), &json!(1)));
    assert!(client.get(&format!("/api/trash/{one}/picture.png")).body.starts_with(b"\x89PNG"));
    let restore = |id: &str| client.post(&format!("/api/trash/{id}/restore"), &json!({}));
    assert_eq!(restore(&one).json(), entry);
    assert_eq!((client.gallery(), ids(&client.get("/api/trash").json()).len()), (vec![json!(other), json!(one)], 0));
    for name in ["/plain.png", "/run.json", "/report.html"] {
        assert_eq!(client.get(&format!("/api/gallery/{one}{name}")).status, 200);
    }
    assert_eq!(restore(&one).status, 200); // as often as one likes
    assert_eq!(restore("1700000000000-000000-000").status, 404);
    // Once the trash is empty nothing comes back, and all else stays.
    client.delete(&format!("/api/gallery/{one}"));
    assert_eq!(client.delete("/api/trash").status, 204);
    assert_eq!((restore(&one).status, client.gallery()), (404, vec![json!(other)]));
}

#[test]
fn pictures_come_as_one_zip_file() {
    let place = Place::new();
    let [one, other] = draw(place.client, [json!({ "compare": true }), json!({})]);
    // To a client of HTTP/1.0 the bytes come as they are, not in chunks.
    let zip = |ids: &str| {
        let request = format!("GET /api/gallery.zip?ids={ids} HTTP/1.0\r\nHost: {}\r\n\r\n", place.client.0);
        place.client.raw(request.as_bytes()).unwrap()
    };
    let answer = zip(&format!("{other},{one},{one}"));
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/zip"), "{}", answer.head);
    let mut archive = ZipArchive::new(Cursor::new(&answer.body)).unwrap();
    let names = [format!("{one}.png"), format!("{one}-plain.png"), format!("{other}.png")];
    assert_eq!(archive.file_names().map(|name| name.unwrap().into_owned()).collect::<Vec<_>>(), names);
    let mut picture = Vec::new();
    std::io::Read::read_to_end(&mut archive.by_name(&names[1]).unwrap(), &mut picture).unwrap();
    assert_eq!(picture, place.client.get(&format!("/api/gallery/{one}/plain.png")).body);

    assert_eq!(zip(&format!("{one},1700000000000-000000-000")).status, 404);
    assert_eq!(zip("").status, 404);
    let many = zip(&vec![one; 201].join(","));
    assert_eq!((many.status, many.error().as_str()), (422, "ids has 201 entries: expected at most 200"));
}
