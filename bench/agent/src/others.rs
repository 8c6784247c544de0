//! What a launch costs beside other ways to run a program apart, in turns: bwrap(1), alone and with
//! xdg-dbus-proxy(1), and crun(1). Programs that are missing, or do not run here, are named.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use smol::{Executor, Timer};

use crate::{
    client::Client,
    statistics::{PAUSE, Times},
    usage,
    world::World,
};

/// The whole host, read-only, with namespaces of its own.
const BWRAP: [&str; 12] = [
    "--unshare-all",
    "--die-with-parent",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--tmpfs",
    "/tmp",
    "/bin/true",
];
/// Ours: what is asked for beside the container.
const LAUNCHES: [(&str, &[&str]); 2] = [
    ("ours", &[]),
    (
        "ours with D-Bus and twenty rules",
        &["bench.dbus", "bench.network"],
    ),
];

/// A way to run `/bin/true`.
struct Other {
    name: &'static str,
    programs: &'static [&'static str],
    /// Whether it ran.
    launch: fn(&World) -> bool,
}

const OTHERS: [Other; 3] = [
    Other {
        name: "bwrap",
        programs: &["bwrap"],
        launch: |_| runs(Command::new("bwrap").args(BWRAP)),
    },
    Other {
        name: "bwrap with xdg-dbus-proxy",
        programs: &["bwrap", "xdg-dbus-proxy"],
        launch: bwrap_with_proxy,
    },
    Other {
        name: "crun",
        programs: &["crun"],
        launch: |world| {
            let name = format!("sc-bench-{}", std::process::id());
            let mut crun = Command::new("crun");
            runs(crun.args(["run", "--bundle"]).arg(bundle(world)).arg(name))
        },
    },
];

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.status().unwrap().success()
}

fn bwrap_with_proxy(world: &World) -> bool {
    let socket = world.path("filtered-bus");
    let _ = fs::remove_file(&socket);
    let mut proxy = Command::new("xdg-dbus-proxy")
        .args([&world.address, socket.to_str().unwrap(), "--filter"])
        .spawn()
        .unwrap();
    while !socket.exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
    let mut bwrap = Command::new("bwrap");
    bwrap.arg("--bind").args([&socket, &socket]).args(BWRAP);
    let ran = runs(&mut bwrap);
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    ran
}

fn bundle(world: &World) -> PathBuf {
    world.path("bundle")
}

/// An OCI bundle (config.md of the runtime specification) with the host's root, read-only.
fn make_bundle(world: &World) {
    let bundle = bundle(world);
    fs::create_dir(&bundle).unwrap();
    let spec = Command::new("crun")
        .arg("spec")
        .current_dir(&bundle)
        .status();
    assert!(spec.unwrap().success());
    let file = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/true"]);
    config["root"] = json!({"path": "/", "readonly": true});
    fs::write(&file, config.to_string()).unwrap();
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Times of whole launches, from the first call to the end of the program, and then of Suspend and
/// Resume, of the agent's stop, and the memory of agent and container.
pub async fn run(
    programs: (&Path, &Path),
    rounds: usize,
    executor: &Arc<Executor<'static>>,
) -> Value {
    let mut world = World::new(programs.0, programs.1, "");
    world.start();
    let client = Client::connect(&world.address, executor).await;
    client.wait_for_agent().await;
    client.destroy(client.create().await).await;
    if is_there("crun") {
        make_bundle(&world);
    }
    // crun, for example, does not run on every hybrid of cgroup v1 and v2.
    let (others, missing): (Vec<_>, Vec<_>) = OTHERS.iter().partition(|other| {
        let mut programs = other.programs.iter();
        programs.all(|program| is_there(program)) && (other.launch)(&world)
    });
    let mut ours = LAUNCHES.map(|_| Times::new());
    let mut theirs: Vec<_> = others.iter().map(|_| Times::new()).collect();
    let mut pause = Times::new();
    for _ in 0..rounds {
        for ((_, capabilities), times) in LAUNCHES.iter().zip(&mut ours) {
            Timer::after(PAUSE).await;
            let id = times
                .measure(async {
                    let id = client.create().await;
                    if !capabilities.is_empty() {
                        client.set_all_capabilities(id, capabilities).await;
                    }
                    client.run(id, "/bin/true").await;
                    id
                })
                .await;
            Timer::after(PAUSE).await;
            pause
                .measure(async {
                    client.suspend(id).await;
                    client.resume(id).await;
                })
                .await;
            client.destroy(id).await;
        }
        for (other, times) in others.iter().zip(&mut theirs) {
            Timer::after(PAUSE).await;
            let started = Instant::now();
            assert!((other.launch)(&world), "{}", other.name);
            times.add(started.elapsed());
        }
    }
    let before = usage::pss_of_all(&world);
    let id = client.create().await;
    Timer::after(Duration::from_secs(2)).await;
    let with_one = usage::pss_of_all(&world);
    let agent = usage::pss(world.pid());
    client.destroy(id).await;
    let stopped = Instant::now();
    world.stop();
    let stop = crate::statistics::milliseconds(stopped.elapsed());
    let mut table = serde_json::Map::new();
    for ((name, _), times) in LAUNCHES.iter().zip(ours) {
        table.insert((*name).to_owned(), times.summary());
    }
    for (other, times) in others.iter().zip(theirs) {
        table.insert(other.name.to_owned(), times.summary());
    }
    for other in missing {
        let text = format!(
            "not measured: {} missing, or cannot here",
            other.programs.join(" or ")
        );
        table.insert(other.name.to_owned(), json!(text));
    }
    json!({
        "rounds": rounds,
        "launches": table,
        "Suspend and Resume": pause.summary(),
        "stop of an idle agent": stop,
        "PSS in KiB": {
            "agent with a container": agent,
            "added by a container": with_one.saturating_sub(before),
        },
    })
}
