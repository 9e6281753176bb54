//! Chromium without a window, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>).

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{env, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    cmd,
    machine::{Machine, Need},
    notify::servers::{Server, free_port, wait_for_port},
};

pub const NEEDS: &[Need] = &[Need::Program("chromium"), Need::Program("chromedriver")];

/// What a key is called in WebDriver.
pub mod key {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
}

/// A window; it closes with its scope.
pub struct Browser {
    session: String,
    agent: Agent,
    _driver: Server,
}

impl Browser {
    pub fn start(machine: &Machine) -> Result<Self> {
        let (dir, port) = (machine.dir("browser")?, free_port()?);
        let log = dir.join("log");
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).env("HOME", &dir).env("TMPDIR", &dir);
        let driver = Server::spawn(&mut driver, &log)?;
        wait_for_port(port, &log)?;
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let args: Vec<String> = args
            .into_iter()
            .map(str::to_owned)
            .chain([format!("--user-data-dir={}", dir.join("profile").display())])
            .collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true, "goog:chromeOptions": { "args": args } } } });
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None)
            .build()
            .into();
        let mut this = Self { session: format!("http://127.0.0.1:{port}/session"), agent, _driver: driver };
        let session = this.post("", &wanted).with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        let id = session["sessionId"].as_str().context("a session has no id")?;
        this.session = format!("{}/{id}", this.session);
        Ok(this)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.session);
        let mut response = self
            .agent
            .post(&url)
            .content_type("application/json")
            .send(body.to_string())
            .context("chromedriver")?;
        let text = response.body_mut().read_to_string().context("reading what chromedriver answers")?;
        let mut answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        ensure!(response.status().is_success(), "{path}: {text}");
        Ok(answer.get_mut("value").map(Value::take).unwrap_or_default())
    }

    /// Opens a page.
    pub fn visit(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// What a function with this body gives.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) -> Result<()> {
        cmd::wait_for(expression, Duration::from_secs(30), || {
            let is = self.run(&format!("return Boolean({expression})"))?;
            ensure!(is == true, "the page has: {}", self.text()?);
            Ok(())
        })
    }

    /// All that can be read on the page.
    pub fn text(&self) -> Result<String> {
        Ok(self.run("return document.body.innerText")?.as_str().unwrap_or_default().to_owned())
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &str) -> Result<()> {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        self.post(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] }),
        )
        .map(drop)
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<()> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).map(drop)
    }

    /// Checks that at this width nothing stands out of the page and all text has contrast, and gives where the keyboard comes.
    pub fn look(&self, wide: u32, dark: bool) -> Result<Vec<String>> {
        let size = json!({ "width": wide, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media)?;
        // What the browser draws behind a page that has no ground of its own.
        let canvas = if dark { "[18, 18, 18, 1]" } else { "[255, 255, 255, 1]" };
        let look = include_str!("../../peripety-page/src/look.js");
        let found = self.run(&format!("{look} return look(window, document, {canvas});"))?;
        self.keep_picture(&format!("{wide}-{scheme}"))?;
        let number = |key: &str| found[key].as_u64().unwrap_or(u64::MAX);
        ensure!(number("wide") <= number("room"), "wider than {wide}: {found}");
        ensure!(found["over"] == json!([]), "stands out at {wide}: {}", found["over"]);
        ensure!(found["faint"] == json!([]), "cannot be read when {scheme}: {}", found["faint"]);
        let focus = found["focus"].as_array().cloned().unwrap_or_default();
        let focus: Vec<String> = focus.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        ensure!(!focus.iter().any(|one| one.contains("cannot")), "the keyboard: {focus:?}");
        Ok(focus)
    }

    /// A picture for people, where the logs are kept.
    fn keep_picture(&self, name: &str) -> Result<()> {
        let Some(dir) = env::var_os("PERIPETY_KEEP_LOGS") else { return Ok(()) };
        let url = format!("{}/screenshot", self.session);
        let mut response = self.agent.get(&url).call().context("chromedriver")?;
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let answer: Value = serde_json::from_str(&text).context("a picture")?;
        let picture = answer["value"].as_str().context("a picture")?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture).context("a picture")?;
        let title = self.run("return document.title.replace(/[^a-z]+/gi, '-')")?;
        let file = Path::new(&dir).join(format!("{}-{name}.png", title.as_str().unwrap_or("page")));
        fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))
    }

    /// Whatever the page loaded came from there.
    pub fn loads_only_from(&self, origin: &str) -> Result<()> {
        let all = self.run("return performance.getEntriesByType('resource').map((one) => one.name)")?;
        let all: Vec<&str> = all.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure!(!all.is_empty(), "the page loads nothing");
        ensure!(all.iter().all(|url| url.starts_with(origin)), "from elsewhere: {all:?}");
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Else the browser outlives its driver.
        let _gone = self.agent.delete(&self.session).call();
    }
}
