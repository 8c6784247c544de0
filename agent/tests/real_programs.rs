//! Programs as they come from a distribution, in containers as apps have them.

#![cfg(all(
    feature = "gateway-file",
    feature = "gateway-network",
    feature = "gateway-pulseaudio"
))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
#[path = "../../network/tests/netns/mod.rs"]
mod netns;
mod pulse;
mod support;
mod unable;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use lab::{Lab, OUTSIDE};
use pulse::{Pulse, amplitude};
use serde_json::json;
use support::{Setup, TestAgent, wait_until};

/// Mounts a new directory of the host in a container; where it is on the host.
fn directory(agent: &TestAgent, id: i32, name: &str, at: &str) -> std::path::PathBuf {
    let path = agent.path(name);
    fs::create_dir(&path).unwrap();
    agent
        .client()
        .bind_mount(id, path.to_str().unwrap(), at, false)
        .unwrap();
    path
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn scripts_of_bash_and_python_start_by_their_first_line() {
    let agent = TestAgent::start();
    let id = agent.create();
    let app = directory(&agent, id, "app", "/app");
    script(
        &app.join("bash"),
        "#!/bin/bash\nwords=(one two)\necho \"${words[1]} $BASH\"\n",
    );
    script(
        &app.join("python"),
        "#!/usr/bin/env python3\nimport sys, json, ssl\nprint(json.dumps(sys.argv[1:]))\n",
    );
    assert!(agent.shell_ok(id, "/app/bash").starts_with("two /"));
    assert_eq!(agent.shell_ok(id, "/app/python a 'b c'"), r#"["a", "b c"]"#);
}

#[test]
fn multiprocessing_of_python_has_locks_and_shared_memory() {
    let agent = TestAgent::start();
    let id = agent.create();
    let app = directory(&agent, id, "app", "/app");
    let program = "import multiprocessing as m\n\
                   from multiprocessing.shared_memory import SharedMemory\n\
                   def work(lock, name):\n    with lock:\n        \
                   memory = SharedMemory(name)\n        memory.buf[0] += 1\n        \
                   memory.close()\n\
                   if __name__ == '__main__':\n    lock = m.Lock()\n    \
                   memory = SharedMemory(create=True, size=4 << 20)\n    \
                   all = [m.Process(target=work, args=(lock, memory.name)) for _ in range(4)]\n    \
                   [each.start() for each in all]\n    [each.join() for each in all]\n    \
                   print(memory.buf[0])\n    memory.close()\n    memory.unlink()\n";
    fs::write(app.join("work.py"), program).unwrap();
    assert_eq!(agent.shell_ok(id, "python3 /app/work.py"), "4");
}

/// A certification authority of the test's own and a server's key and certificate, in a directory.
fn certificates(directory: &Path) {
    let script = format!(
        "set -e; cd {}
         openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 \
             -subj '/CN=Test CA'
         openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr \
             -subj '/CN=www.example.test'
         echo 'subjectAltName = IP:{OUTSIDE}' > extensions
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile extensions -out server.pem",
        directory.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn curl_gets_a_page_over_https_from_whom_its_authority_vouches_for() {
    let allow = json!([{"direction": "OUTGOING",
        "allow": [{"host": OUTSIDE, "ports": 443, "protocols": "tcp"}]}]);
    let lab = Lab::with_network(&[("https", allow)]);
    let keys = tempfile::tempdir().unwrap();
    certificates(keys.path());
    let file = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    let _server = lab.outside.serve(
        "openssl",
        &[
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            "443",
            "-cert",
            &file("server.pem"),
            "-key",
            &file("server.key"),
        ],
    );
    wait_until("the server listens", || {
        lab.outside.shell("ss -lnt").contains(":443 ")
    });
    let id = lab.container(&["https"]);
    lab.agent
        .client()
        .bind_mount(id, &file("ca.pem"), "/app/ca.pem", true)
        .unwrap();
    let url = format!("https://{OUTSIDE}/");
    let page = lab
        .agent
        .shell_ok(id, &format!("curl -sS --cacert /app/ca.pem {url}"));
    assert!(page.contains("TLSv1"), "{page}");
    let (status, output) = lab.agent.shell(id, &format!("curl -sS {url}"));
    // CURLE_PEER_FAILED_VERIFICATION: the host's authorities do not vouch for it.
    assert_eq!(status, 60 << 8, "{output}");
}

#[test]
fn ping_of_busybox_works_where_icmp_is_allowed_and_nowhere_else() {
    let icmp =
        json!([{"direction": "OUTGOING", "allow": [{"host": OUTSIDE, "protocols": "icmp"}]}]);
    let tcp = json!([{"direction": "OUTGOING", "allow": [{"host": OUTSIDE, "protocols": "tcp"}]}]);
    let lab = Lab::with_network(&[("icmp", icmp), ("tcp", tcp)]);
    let ping = format!("/bin/busybox ping -c 1 -W 2 {OUTSIDE}");
    let (allowed, refused) = (lab.container(&["icmp"]), lab.container(&["tcp"]));
    let output = lab.agent.shell_ok(allowed, &ping);
    assert!(output.contains(" 0% packet loss"), "{output}");
    let (status, output) = lab.agent.shell(refused, &ping);
    assert_ne!(status, 0, "{output}");
}

#[test]
fn fontconfig_finds_a_font_with_the_hosts_configuration() {
    let agent = TestAgent::start();
    let id = agent.create();
    let (status, output) = agent.shell(id, "HOME=/tmp fc-match 'DejaVu Sans' 2>&1");
    assert_eq!(status, 0, "{output}");
    assert!(output.starts_with("DejaVuSans.ttf"), "{output}");
    assert!(!output.contains("Fontconfig error"), "{output}");
}

#[test]
fn gstreamer_plays_to_the_sound_server() {
    let pulse = Pulse::started();
    let manifest = r#"{"version": "1", "capabilities": [
        {"name": "audio", "gateways": [{"id": "pulseaudio", "config": [{"audio": true}]}]}]}"#;
    let mut setup = Setup::manifest(manifest);
    setup.config = format!("pulse-socket = {}", pulse.socket().display());
    let agent = TestAgent::with(&setup);
    let id = agent.create();
    agent.client().set_capabilities(id, &["audio"]).unwrap();
    let recorded = pulse.record(|| {
        let pipeline = "HOME=/tmp timeout 60 gst-launch-1.0 -q audiotestsrc num-buffers=40 \
                        freq=997 volume=0.5 ! audio/x-raw,rate=48000,channels=1 ! audioconvert \
                        ! pulsesink";
        let (status, output) = agent.shell(id, pipeline);
        assert_eq!(status, 0, "{output}");
    });
    let (found, other) = (amplitude(&recorded, 997.0), amplitude(&recorded, 2493.0));
    assert!(found > 10_000.0, "{found}");
    assert!(other < found / 20.0, "{other} beside {found}");
}

#[test]
fn sqlite_keeps_a_write_ahead_log_on_a_mount_and_on_a_write_buffer() {
    let agent = TestAgent::start();
    let work = "import sqlite3, sys\n\
                base = sqlite3.connect('/data/base')\n\
                assert base.execute('pragma journal_mode=wal').fetchone() == ('wal',)\n\
                base.execute('create table t (n)')\n\
                other = sqlite3.connect('/data/base')\n\
                for n in range(100):\n    base.execute('insert into t values (?)', (n,))\n\
                base.commit()\n\
                print(other.execute('select sum(n) from t').fetchone()[0])\n";
    for buffered in [false, true] {
        let options = json!([{"writeBufferEnabled": buffered}]).to_string();
        let id = agent.client().create(&options).unwrap();
        let data = directory(&agent, id, &format!("data-{buffered}"), "/data");
        let program = agent.path("work.py");
        fs::write(&program, work).unwrap();
        agent
            .client()
            .bind_mount(id, program.to_str().unwrap(), "/app/work.py", true)
            .unwrap();
        assert_eq!(agent.shell_ok(id, "python3 /app/work.py"), "4950");
        agent.client().destroy(id).unwrap();
        let base = data.join("base");
        let sum = Command::new("python3")
            .args(["-c", "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select sum(n) from t').fetchone()[0])"])
            .arg(&base)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&sum.stdout), "4950\n", "{sum:?}");
    }
}

/// A thread, a process, and a server with its client.
const NODE: &str = r#"
const { Worker, isMainThread, parentPort } = require('worker_threads');
const http = require('http');
if (!isMainThread) {
    parentPort.postMessage(require('child_process').execSync('echo 42').toString().trim());
} else {
    new Worker(__filename).on('message', number => {
        const server = http.createServer((_, reply) => reply.end(`answer ${number}`));
        server.listen(8080, '127.0.0.1', () => http.get('http://127.0.0.1:8080/', reply =>
            reply.on('data', data => { console.log(String(data)); process.exit(0); })));
    });
}
"#;
/// Run-time systems of apps: the program, what is done with it, and what that says.
const RUN_TIMES: [(&str, &str, &str); 4] = [
    ("/usr/bin/node", "node /app/serve.js", "answer 42"),
    (
        "/usr/bin/keytool",
        "keytool -J-Xmx64m -list -keystore /app/keys -storepass changeit",
        "trustedCertEntry",
    ),
    (
        "/usr/bin/ffmpeg",
        "cd /tmp && ffmpeg -loglevel error -y -f lavfi -i testsrc=d=1:s=320x240 -c:v mpeg4 \
         -threads 4 out.mkv && ffprobe -loglevel error -show_entries format=duration out.mkv",
        "duration=1.0",
    ),
    (
        "/usr/bin/python3",
        "cd /tmp && python3 -m venv --without-pip own && own/bin/python -c \"import \
         concurrent.futures as c, sys; print(sys.prefix, \
         *c.ProcessPoolExecutor(2).map(abs, [-1, 2]))\"",
        "/tmp/own 1 2",
    ),
];

/// What the programs above work on.
fn work(keytool: &Path, app: &Path) {
    fs::write(app.join("serve.js"), NODE).unwrap();
    if !keytool.exists() {
        return;
    }
    let made = tempfile::tempdir().unwrap();
    certificates(made.path());
    let output = Command::new(keytool)
        .args(["-importcert", "-noprompt", "-storepass", "changeit"])
        .arg("-file")
        .arg(made.path().join("ca.pem"))
        .arg("-keystore")
        .arg(app.join("keys"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn run_time_systems_of_apps_work_for_root_and_for_another_user() {
    let agent = TestAgent::start();
    let app = agent.path("app");
    fs::create_dir(&app).unwrap();
    work(Path::new("/usr/bin/keytool"), &app);
    for user in [0, 1000] {
        let options = json!([{"writeBufferEnabled": false, "userID": user}]).to_string();
        let id = agent.client().create(&options).unwrap();
        let mounted = agent
            .client()
            .bind_mount(id, app.to_str().unwrap(), "/app", true);
        mounted.unwrap();
        for (program, does, says) in RUN_TIMES {
            if !Path::new(program).exists() {
                unable::note(&format!("no {program} is installed"));
                continue;
            }
            let (status, output) = agent.shell(id, &format!("export HOME=/tmp; {does} 2>&1"));
            assert_eq!(status, 0, "{program} as user {user}: {output}");
            assert!(output.contains(says), "{program} as user {user}: {output}");
        }
        agent.client().destroy(id).unwrap();
    }
}
