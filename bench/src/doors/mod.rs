//! What each way to events costs beside the plain socket: how long one event takes, how many come in a second, and what an open
//! one costs while nothing happens. The daemon's own memory and sockets, peripety-notify as it is built.

mod clients;
mod scene;

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use self::{
    clients::{Client, bus, socket, varlink, websocket},
    scene::Scene,
};
use crate::paired::median;

/// Events whose time is taken one by one.
const SINGLE: usize = 300;
/// Events that are given at once.
const TOGETHER: usize = 3000;
/// Pairs of runs.
const PAIRS: usize = 5;

/// Median of microseconds from the daemon's memory to the client.
fn latency(scene: &Scene, client: &mut dyn Client) -> Result<f64> {
    let mut took = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let start = Instant::now();
        scene.event()?;
        client.next()?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&mut took))
}

/// Events a second.
fn throughput(scene: &Scene, client: &mut dyn Client) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..TOGETHER {
        scene.event()?;
    }
    for _ in 0..TOGETHER {
        client.next()?;
    }
    Ok(TOGETHER as f64 / start.elapsed().as_secs_f64())
}

pub fn run() -> Result<Vec<Value>> {
    let scene = Scene::start()?;
    // Before there are events that a notifier reads at its start.
    let idle = scene.idle()?;
    let mut figures = Vec::new();
    type Open = fn(&Scene) -> Result<Box<dyn Client>>;
    let doors: [(&str, Open); 3] = [("Varlink", varlink), ("websocket", websocket), ("D-Bus signals", bus)];
    for (name, open) in doors {
        let (mut slower, mut slow, mut faster, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let (mine, its) = {
                let mut client = open(&scene)?;
                (latency(&scene, &mut *client)?, throughput(&scene, &mut *client)?)
            };
            let mut plain = socket(&scene)?;
            let (of_plain, its_plain) = (latency(&scene, &mut *plain)?, throughput(&scene, &mut *plain)?);
            slower.push(mine / of_plain);
            slow.push(mine);
            faster.push(its / its_plain);
            rates.push(its);
        }
        figures.push(json!({
            "what": format!("{name}: one event to its client"), "ratio": median(&mut slower), "of": "the plain socket's time",
            "detail": format!("{:.0} µs, the median of {SINGLE}", median(&mut slow)),
        }));
        figures.push(json!({
            "what": format!("{name}: events a second"), "ratio": median(&mut faster), "of": "the plain socket's",
            "detail": format!("{:.0} a second, {TOGETHER} at once", median(&mut rates)),
        }));
    }
    figures.extend(idle);
    Ok(figures)
}
