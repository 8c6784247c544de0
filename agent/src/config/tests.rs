//! Tests of the configuration file and its precedence.

use super::*;
use crate::{
    container::ContainerLimits,
    error_chain::Chain,
    gateway::{GatewaysConfig, SecurityContext},
    host::{apparmor::AppArmor, cgroup::Totals},
};
use proptest::prelude::*;
use softwarecontainer_network::ConnectionSettings;
use std::net::Ipv4Addr;
use tempfile::TempDir;

fn parse(keys: &str) -> Result<Config, ConfigError> {
    Config::parse(
        Path::new("/c"),
        format!("[SoftwareContainer]\n{keys}").as_bytes(),
    )
}

fn place(name: &str) -> softwarecontainer_capability::place::Place {
    softwarecontainer_capability::place::Place::named(name).unwrap()
}

fn without_places(config: Config) -> Config {
    Config {
        places: Places::default(),
        ..config
    }
}

fn error(keys: &str) -> String {
    parse(keys).unwrap_err().to_string()
}

#[test]
fn no_key_is_mandatory() {
    assert_eq!(without_places(parse("").unwrap()), Config::default());
    assert_eq!(
        without_places(Config::parse(Path::new("/c"), b"").unwrap()),
        Config::default()
    );
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Config::default();
    assert!(!config.use_session_bus);
    assert_eq!(config.container.shutdown_timeout, Duration::from_secs(1));
    assert_eq!(
        config.container.shared_mounts_dir,
        Path::new("/tmp/container/")
    );
    assert!(
        config
            .manifests
            .path()
            .ends_with("softwarecontainer/service-manifest.d")
    );
    assert!(
        config
            .default_manifests
            .path()
            .ends_with("softwarecontainer/service-manifest.default.d")
    );
    assert!(config.bridge.create);
    assert_eq!(config.bridge.device, "lxcbr0");
    assert_eq!(config.bridge.ip, Ipv4Addr::new(10, 0, 3, 1));
    assert_eq!(config.bridge.netmask(), Ipv4Addr::new(255, 255, 255, 0));
    assert_eq!(config.bridge.network, Ipv4Addr::new(10, 0, 3, 0));
}

const ALL_KEYS: &str = "use-session-bus = true\nshutdown-timeout = 5\nshared-mounts-dir = /run/sc/\n\
         deprecated-lxc-config-path = /l.conf\nservice-manifest-dir = /m\ndefault-service-manifest-dir = /d.json\n\
         create-bridge = false\nbridge-device = br-sc\nbridge-ip = 172.16.5.1\nbridge-netmask = 255.255.0.0\n\
         bridge-netmask-bitlength = 16\nbridge-netaddr = 172.16.0.0\nbridge-ip6 = fd00:3::1/64\nbridge-ip-candidates = 10.1.1.1\nhost-ports = 53;123\nlog-refused = true\nfirewall = nf_tables\nconnection-rate = 30\nconnection-burst = 300\nlxc-path = /var/lib/x\nwayland-socket = /run/w/display\nwayland-display.rear = /run/rear/w\npulse-zone.rear = /run/rear/p\npipewire-zone.Front-1 = /run/front/pw\nwayland-security-context = required\npulse-socket = /run/p/native\npipewire-socket = /run/p/pipewire-0\nuser-namespace = required\n\
         seccomp-profile = /s.profile\nseccomp-calls = /s.calls\nlandlock = off\napparmor-profile = my-app\nallowed-host-paths = /opt/apps;/run/user\n\
         launcher-read-paths = /usr/share/fonts\nlauncher-write-paths = /var/cache/x;/srv\nadministrators = root;1234\ndestroy-when-ended = true\non-stop = keep\nreclaim-when-suspended = true\nmasked-paths = /proc/keys;/sys/kernel\nhost-files = /etc/hosts;/etc/ssl\nmax-containers = 8\nmax-processes = 100\nmax-open-files = 256\nmax-memory-share = 20\noom-score-adjust = 300\noom-group = false\n\
         total-memory = 60\ntotal-processes = 40\ntotal-cpu = 70\ncpu-weight = 20\nio-weight = 50\ncpuset = 1-2\n\
         max-environment-size = 4096\nmax-command-length = 2048\nmax-manifest-size = 65536\nmax-pending-calls = 16\nmax-connections = 500\nmax-bus-connections = 20\nmax-bus-calls = 99\n\
         root-tree-size = 2000000\nmax-root-tree-size = 3000000000000\ndev-size = 70000\n\
         shm-size = 80000\n";

#[test]
fn an_address_that_is_to_be_chosen_is_one_of_a_list() {
    let bridge = parse("bridge-ip = auto").unwrap().bridge;
    assert!(bridge.candidates.len() > 2);
    assert_eq!(bridge.ip, bridge.candidates[0]);
    let bridge = parse("bridge-ip = auto\nbridge-ip-candidates = 172.20.9.1; 10.9.9.1").unwrap();
    let bridge = bridge.bridge;
    assert_eq!(bridge.candidates.len(), 2);
    assert_eq!(bridge.network, Ipv4Addr::new(172, 20, 9, 0));
}

#[test]
fn every_key_is_documented() {
    let manual = include_str!("../../../man/softwarecontainer-config.5.scd");
    let book = include_str!("../../../docs/src/configuration.md");
    for line in ALL_KEYS.lines() {
        let key = line.split(' ').next().unwrap();
        let family = key
            .split_once('.')
            .map(|(family, _)| format!("{family}.NAME"));
        let key = family.unwrap_or(key.to_owned());
        assert!(manual.contains(&format!("\n*{key}* (")), "{key}");
        assert!(book.contains(&format!("\n| `{key}` |")), "{key}");
    }
}

#[test]
fn every_key_is_read() {
    let config = parse(ALL_KEYS).unwrap();
    let expected = Config {
        use_session_bus: true,
        pending_calls: 16,
        manifests: ManifestSource::named("/m")
            .named_by("/c:6: [SoftwareContainer] service-manifest-dir"),
        default_manifests: ManifestSource::named("/d.json")
            .named_by("/c:7: [SoftwareContainer] default-service-manifest-dir"),
        manifest_size: 65536,
        bridge: BridgeSettings {
            create: false,
            device: "br-sc".into(),
            ip: Ipv4Addr::new(172, 16, 5, 1),
            candidates: Vec::new(),
            prefix_len: 16,
            network: Ipv4Addr::new(172, 16, 0, 0),
            ip6: Some(("fd00:3::1".parse().unwrap(), 64)),
            firewall: softwarecontainer_network::Backend::NfTables,
            host_ports: vec![53, 123],
            log_refused: true,
            connections: ConnectionSettings {
                containers: 8,
                most: Some(500),
                rate: Some(30),
                burst: Some(300),
            },
        },
        seccomp_profile: SeccompFile::File("/s.profile".into()),
        seccomp_calls: SeccompFile::File("/s.calls".into()),
        allowed_host_paths: vec!["/opt/apps".into(), "/run/user".into()],
        launcher_read_paths: vec!["/usr/share/fonts".into()],
        launcher_write_paths: vec!["/var/cache/x".into(), "/srv".into()],
        agent: AgentConfig {
            administrators: vec![0, 1234],
            destroy_when_ended: true,
            on_stop: OnStop::Keep,
            containers: 8,
            options_length: 2048,
            largest_root_tree: 3_000_000_000_000,
        },
        container: ContainerConfig {
            shutdown_timeout: Duration::from_secs(5),
            shared_mounts_dir: "/run/sc/".into(),
            extra_lxc_config: Some("/l.conf".into()),
            lxc_path: Some("/var/lib/x".into()),
            user_namespace: UserNamespace::Required,
            apparmor: AppArmor::Required("my-app".into()),
            landlock: false,
            masked_paths: vec!["/proc/keys".into(), "/sys/kernel".into()],
            host_files: vec!["/etc/hosts".into(), "/etc/ssl".into()],
            limits: ContainerLimits {
                processes: 100,
                memory_share: 20,
                oom_score_adjust: 300,
                oom_group: false,
                open_files: 256,
                environment_size: 4096,
                command_length: 2048,
                root_tree_size: 2_000_000,
                dev_size: Some(70_000),
                shm_size: 80_000,
            },
            reclaim_when_suspended: true,
            totals: Totals {
                memory: 60,
                processes: 40,
                cpu: 70,
                cpu_weight: 20,
                io_weight: Some(50),
                cpuset: Some("1-2".parse().unwrap()),
            },
            gateways: GatewaysConfig {
                wayland_socket: Some("/run/w/display".into()),
                wayland_security_context: SecurityContext::Required,
                wayland_displays: [(place("rear"), "/run/rear/w".into())].into(),
                pulse_zones: [(place("rear"), "/run/rear/p".into())].into(),
                pipewire_zones: [(place("Front-1"), "/run/front/pw".into())].into(),
                pulse_socket: Some("/run/p/native".into()),
                pipewire_socket: Some("/run/p/pipewire-0".into()),
                bus_connections: 20,
                bus_calls: 99,
            },
        },
        places: config.places.clone(),
    };
    assert_eq!(
        config.places.of("lxc-path"),
        "/c:21: [SoftwareContainer] lxc-path"
    );
    assert_eq!(config, expected);
    assert_eq!(
        config.bridge.last_address(),
        Ipv4Addr::new(172, 16, 255, 255)
    );
}

#[test]
fn errors_name_file_line_group_and_key() {
    for (keys, expected) in [
        (
            "bridge-devise = x",
            "/c:2: [SoftwareContainer] bridge-devise: unknown key; did you mean \"bridge-device\"?",
        ),
        (
            "\nbridge = x",
            "/c:3: [SoftwareContainer] bridge: unknown key",
        ),
        (
            "[Other]\nx = 1",
            "/c:2: [Other]: unknown group; all keys are in [SoftwareContainer]",
        ),
        (
            "[softwarecontainer]",
            "/c:2: [softwarecontainer]: unknown group; all keys are in [SoftwareContainer]",
        ),
        (
            "nonsense",
            "/c:2: the line is neither \"key = value\", nor a [group], nor a # comment",
        ),
        (
            "use-session-bus = yes",
            "/c:2: [SoftwareContainer] use-session-bus: \"yes\" is none of true, false, 1, 0",
        ),
        (
            "cpuset = two",
            "/c:2: [SoftwareContainer] cpuset: \"two\" is no list of processors such as 0-2,4",
        ),
        (
            "total-memory = 101",
            "/c:2: [SoftwareContainer] total-memory: \"101\" is not a whole number from 0 to 100",
        ),
        (
            "shutdown-timeout = -1",
            "/c:2: [SoftwareContainer] shutdown-timeout: \"-1\" is not a whole number of seconds",
        ),
        (
            "shutdown-timeout = 1.5",
            "/c:2: [SoftwareContainer] shutdown-timeout: \"1.5\" is not a whole number of seconds",
        ),
        (
            "shutdown-timeout =",
            "/c:2: [SoftwareContainer] shutdown-timeout: \"\" is not a whole number of seconds",
        ),
        (
            "shutdown-timeout = 3 # seconds",
            "/c:2: [SoftwareContainer] shutdown-timeout: \"3 # seconds\" is not a whole number of \
             seconds; a comment needs a line of its own",
        ),
        (
            "shared-mounts-dir = \"/run/sc\"",
            "/c:2: [SoftwareContainer] shared-mounts-dir: \"\\\"/run/sc\\\"\" is not an absolute \
             path; quotes belong to the value here: leave them out",
        ),
        (
            "shared-mounts-dir = run",
            "/c:2: [SoftwareContainer] shared-mounts-dir: \"run\" is not an absolute path",
        ),
        (
            "lxc-path =",
            "/c:2: [SoftwareContainer] lxc-path: \"\" is not an absolute path",
        ),
        (
            "user-namespace = on",
            "/c:2: [SoftwareContainer] user-namespace: \"on\" is none of auto, required, off",
        ),
        (
            "apparmor-profile = unconfined",
            "/c:2: [SoftwareContainer] apparmor-profile: \"unconfined\" is none of auto, off, and the name of a profile",
        ),
        (
            "bridge-ip = 10.0.3",
            "/c:2: [SoftwareContainer] bridge-ip: \"10.0.3\" is not an IPv4 address",
        ),
        (
            "bridge-netmask-bitlength = 32",
            "/c:2: [SoftwareContainer] bridge-netmask-bitlength: \"32\" is not a number from 1 to 31",
        ),
        (
            "bridge-netmask-bitlength = 0",
            "/c:2: [SoftwareContainer] bridge-netmask-bitlength: \"0\" is not a number from 1 to 31",
        ),
        (
            "bridge-netmask-bitlength = 999",
            "/c:2: [SoftwareContainer] bridge-netmask-bitlength: \"999\" is not a number from 1 to 31",
        ),
    ] {
        assert_eq!(error(keys), expected);
    }
}

#[test]
fn bridge_keys_must_agree_with_each_other() {
    for (keys, expected) in [
        (
            "bridge-ip6 = fd00:3::1",
            "bridge-ip6: \"fd00:3::1\" is not an IPv6 address with a prefix length",
        ),
        (
            "bridge-ip6 = fe80::1/64",
            "bridge-ip6: \"fe80::1/64\" is not an address that containers can reach",
        ),
        (
            "bridge-netmask = 255.255.0.0",
            "bridge-netmask: \"255.255.0.0\" is not the netmask of 24 bits",
        ),
        (
            "bridge-netmask-bitlength = 16",
            "/c: [SoftwareContainer] bridge-netmask: the default \"255.255.255.0\" is not the netmask of 16 bits",
        ),
        (
            "bridge-netmask = 255.0.255.0",
            "is not the netmask of 24 bits (bridge-netmask-bitlength), 255.255.255.0",
        ),
        (
            "bridge-netaddr = 10.0.3.1",
            "bridge-netaddr: \"10.0.3.1\" is not the address of a network with netmask 255.255.255.0",
        ),
        (
            "bridge-netaddr = 10.0.4.0",
            "bridge-netaddr: \"10.0.4.0\" is not the network of bridge-ip 10.0.3.1",
        ),
        (
            "bridge-ip = 10.0.4.1",
            "bridge-netaddr: the default \"10.0.3.0\" is not the network of bridge-ip 10.0.4.1",
        ),
        (
            "bridge-ip-candidates = 10.0.3.1;10.0",
            "bridge-ip-candidates: \"10.0\" is not an IPv4 address",
        ),
        (
            "bridge-ip = auto\nbridge-ip-candidates = 10.0.4.255",
            "bridge-ip: \"10.0.4.255\" is the network's own",
        ),
        (
            "bridge-ip = 10.0.3.0",
            "bridge-ip: \"10.0.3.0\" is the network's own",
        ),
        (
            "bridge-ip = 10.0.3.255",
            "bridge-ip: \"10.0.3.255\" is the network's own or its broadcast address",
        ),
        (
            "bridge-device = a/b",
            "bridge-device: \"a/b\" contains a character",
        ),
        ("bridge-device =", "bridge-device: \"\" must not be empty"),
        (
            "bridge-device = abcdefghijklmnop",
            "is longer than the 15 bytes",
        ),
    ] {
        let error = error(keys);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    assert_eq!(
        parse("shutdown-timeout = 2\nshutdown-timeout = 3")
            .unwrap()
            .container
            .shutdown_timeout,
        Duration::from_secs(3)
    );
}

#[test]
fn displays_and_zones_have_names_and_absolute_paths() {
    for (line, expected) in [
        ("wayland-display.2 = /run/w", "cannot be named so"),
        ("wayland-display. = /run/w", "cannot be named so"),
        (
            "pulse-zone.rear = run/p",
            "pulse-zone.rear: \"run/p\" is not an absolute path",
        ),
        ("pipewire-zones.rear = /run/p", "unknown key"),
        ("wayland-socket.rear = /run/p", "unknown key"),
    ] {
        let text = error(line);
        assert!(text.starts_with("/c:2: "), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_empty_manifest_path_means_no_manifests() {
    assert_eq!(
        parse("service-manifest-dir =").unwrap().manifests.path(),
        ManifestSource::none().path()
    );
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_the_default() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("config");
    fs::write(&file, "[SoftwareContainer]\nshutdown-timeout = 7\nservice-manifest-dir = /file\ndeprecated-lxc-config-path =\n").unwrap();
    let mut options = Options {
        config: Some(file),
        ..Options::default()
    };
    let (config, _) = Config::load(&options).unwrap();
    assert_eq!(config.container.shutdown_timeout, Duration::from_secs(7));
    assert_eq!(config.manifests.path(), Path::new("/file"));
    assert_eq!(
        config.default_manifests,
        Config::default().default_manifests
    );
    assert!(!config.use_session_bus);

    options.timeout = Some(9);
    options.manifest_dir = Some("/line".into());
    options.session_bus = true;
    let (config, _) = Config::load(&options).unwrap();
    assert_eq!(config.container.shutdown_timeout, Duration::from_secs(9));
    assert_eq!(config.manifests.path(), Path::new("/line"));
    assert!(config.use_session_bus);
}

#[test]
fn a_file_that_was_named_must_exist() {
    let options = Options {
        config: Some("/nonexistent/config".into()),
        ..Options::default()
    };
    let error = Config::load(&options).unwrap_err();
    let error = Chain(&error).to_string();
    assert!(
        error.starts_with("/nonexistent/config: cannot be read: No such file"),
        "{error}"
    );

    let dir = TempDir::new().unwrap();
    let file = dir.path().join("config");
    fs::write(
        &file,
        "[SoftwareContainer]\ndeprecated-lxc-config-path = /nonexistent/lxc\n",
    )
    .unwrap();
    let error = Config::load(&Options {
        config: Some(file),
        ..Options::default()
    })
    .unwrap_err();
    let error = Chain(&error).to_string();
    let place = "/config:2: [SoftwareContainer] deprecated-lxc-config-path: ";
    assert!(
        error.contains(&format!("{place}/nonexistent/lxc: cannot be read: No such")),
        "{error}"
    );
}

#[test]
fn an_absent_default_file_is_a_notice() {
    let dir = TempDir::new().unwrap();
    let mut notices = Vec::new();
    let config = Config::from_default_file(&dir.path().join("none"), &mut notices).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(notices.len(), 1);
    assert!(notices[0].ends_with("/none, defaults apply"), "{notices:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_configuration_or_an_error_that_names_the_file(source: Vec<u8>) {
        if let Err(error) = Config::parse(Path::new("/c"), &source) {
            prop_assert!(error.to_string().starts_with("/c:"));
        }
    }

    #[test]
    fn an_accepted_bridge_is_consistent(ip: u32, bits in 0..40_u8, mask_bits in 0..33_u8, network_bits in 0..33_u8) {
        let (ip, mask, network) = (Ipv4Addr::from(ip), bridge_mask(mask_bits), Ipv4Addr::from(ip) & bridge_mask(network_bits));
        let keys = format!("bridge-ip = {ip}\nbridge-netmask = {mask}\nbridge-netmask-bitlength = {bits}\nbridge-netaddr = {network}");
        if let Ok(Config { bridge, .. }) = parse(&keys) {
            prop_assert_eq!(bridge.netmask(), mask);
            prop_assert_eq!(bridge.network, bridge.ip & mask);
            prop_assert!(bits >= 31 || bridge.ip < bridge.last_address());
        }
    }

    #[test]
    fn a_consistent_bridge_is_accepted(host in 1..250_u32, network: u32, bits in 1..=24_u8) {
        let mask = bridge_mask(bits);
        let network = Ipv4Addr::from(network) & mask;
        let ip = network | Ipv4Addr::from(host);
        let keys = format!("bridge-ip = {ip}\nbridge-netmask = {mask}\nbridge-netmask-bitlength = {bits}\nbridge-netaddr = {network}");
        prop_assert_eq!(parse(&keys).unwrap().bridge.ip, ip);
    }
}

fn bridge_mask(bits: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0))
}

#[test]
fn only_what_is_in_proc_and_sys_can_be_masked() {
    assert!(
        parse("masked-paths =\n")
            .unwrap()
            .container
            .masked_paths
            .is_empty()
    );
    for wrong in [
        "/etc/shadow",
        "/proc",
        "/procfs/keys",
        "proc/keys",
        "/proc/../etc",
    ] {
        let error = parse(&format!("masked-paths = /sys/kernel;{wrong}\n")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("masked-paths") && text.contains(wrong),
            "{text}"
        );
    }
}

#[test]
fn every_bound_has_its_ends() {
    let parse = |key: &str, value: u64| {
        let text = format!(
            "[SoftwareContainer]\nmax-root-tree-size = {}\n{key} = {value}\n",
            1_u64 << 50
        );
        Config::parse(Path::new("/c"), text.as_bytes())
    };
    for (key, first, last) in [
        ("max-containers", 1, 32000),
        ("max-processes", 3, 4_194_304),
        ("max-open-files", 64, 1_048_576),
        ("max-environment-size", 1024, 2_097_152),
        ("max-command-length", 64, 2_097_152),
        ("max-manifest-size", 1024, 67_108_864),
        ("max-pending-calls", 1, 65536),
        ("max-connections", 1, 1_048_576),
        ("connection-rate", 1, 10_000),
        ("connection-burst", 1, 10_000),
        ("max-bus-connections", 1, 256),
        ("max-bus-calls", 1, 4096),
        ("root-tree-size", 1_048_576, 1 << 50),
        ("dev-size", 65536, 2_147_483_647),
        ("shm-size", 65536, 1 << 40),
    ] {
        for value in [first, last] {
            parse(key, value).unwrap();
        }
        for value in [first - 1, last + 1] {
            let error = parse(key, value).unwrap_err().to_string();
            let wanted = format!("{key}: \"{value}\" is not a whole number from {first} to {last}");
            assert!(error.contains(&wanted), "{error}");
        }
    }
}

#[test]
fn a_root_tree_is_not_larger_than_what_launchers_may_ask_for() {
    let error = Config::parse(
        Path::new("/c"),
        b"[SoftwareContainer]\nroot-tree-size = 2000000000\n",
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("/c:2: [SoftwareContainer] root-tree-size")
            && error.contains("more than the 1073741824 of max-root-tree-size"),
        "{error}"
    );
}
