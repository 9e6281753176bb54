//! The page in a real browser, where there is one: nothing overflows, all text can be read, the keyboard reaches everything, and
//! nothing that was injected runs.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::{Look, fixture, hostile, page};

const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let all = std::env::split_paths(&path).flat_map(|dir| BROWSERS.iter().map(move |name| dir.join(name)));
    let found = all.into_iter().find(|program| program.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no Chromium ('apt install chromium')");
    }
    found
}

/// What `look.js` finds on a page in a window so wide.
fn look_at(program: &PathBuf, html: &str, wide: u32, dark: bool) -> Value {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("peripety-page-{}-{number}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let text = serde_json::to_string(html).unwrap().replace("</", "<\\/").replace("<!--", "<\\!--");
    let script = concat!(include_str!("look.js"), include_str!("browser.js")).replace("PAGE", &text);
    let frame = format!(
        "<!DOCTYPE html><meta charset=utf-8><body><iframe width={wide} height=800></iframe><script>{script}</script>"
    );
    fs::write(dir.join("frame.html"), frame).unwrap();
    let out = Command::new(program)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("file://{}", dir.join("frame.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&out.stdout).into_owned();
    // A helper of the browser may write still.
    let _stays_in_the_temporary_directory = fs::remove_dir_all(&dir);
    let found = dom.rsplit_once("FOUND").and_then(|(_, rest)| rest.split_once("END")).map(|(json, _)| json);
    let json = found.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&out.stderr)));
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap()
}

fn is_sound(found: &Value) {
    assert!(found["wide"].as_u64() <= found["room"].as_u64(), "{found}");
    assert_eq!(found["over"], serde_json::json!([]), "stands out of the page");
    assert_eq!(found["faint"], serde_json::json!([]), "cannot be read");
    assert!(found["texts"].as_u64().unwrap() > 50, "{found}");
}

#[test]
fn a_browser_shows_all_of_it_at_any_width_light_and_dark() {
    let Some(program) = browser() else { return };
    let mut wordy = fixture::medium_error();
    wordy.incident.title = "a-name-without-a-gap".repeat(18);
    wordy.incident.impact.mount_points = vec![format!("/srv/{}", "deep".repeat(90))];
    wordy.events.iter_mut().for_each(|event| event.raw_msgs.push("0123456789abcdef".repeat(60)));
    let html = page(&fixture::report(vec![fixture::removed(), wordy]), &Look::default());
    for (wide, dark) in [(360, false), (1600, true)] {
        let found = look_at(&program, &html, wide, dark);
        is_sound(&found);
        // In the order of the page: skip, the gap, the time line, then each incident's picture, fold and lines.
        let order: Vec<&str> =
            found["focus"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let wanted = ["a#incidents", "a#unseen"];
        assert!(order.starts_with(&wanted) && order.len() == 2 + 2 + 2 * 3, "{order:?}");
        assert!(order.iter().all(|one| !one.contains("cannot")), "{order:?}");
    }
}

#[test]
fn a_browser_runs_nothing_that_was_injected() {
    let Some(program) = browser() else { return };
    let case =
        hostile::poisoned("</title></style><img src=x onerror='parent.hit=1'><script>parent.hit=1</script>");
    let html = page(&fixture::report(vec![case]), &Look::default());
    // Escaping alone must do; the policy is a second wall.
    let (before, rest) = html.split_once("<meta http-equiv").unwrap();
    let (_, after) = rest.split_once('>').unwrap();
    let found = look_at(&program, &format!("{before}{after}"), 360, false);
    assert_eq!(found["hit"], 0, "{found}");
    is_sound(&found);
    // Were it not escaped it would run, and the policy stops it.
    let bare = |html: &str| html.replacen("<main>", "<main><script>parent.hit=1</script>", 1);
    assert_eq!(look_at(&program, &bare(&format!("{before}{after}")), 360, false)["hit"], 1);
    assert_eq!(look_at(&program, &bare(&html), 360, false)["hit"], 0);
}
