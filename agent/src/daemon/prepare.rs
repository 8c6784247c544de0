//! What is done once, before the first container: what an earlier agent left is removed, and what
//! all containers share is made.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use smol::Executor;
use softwarecontainer_lxc as lxc;
use softwarecontainer_network::{LateNetwork, log_refused_packets, warn_if_too_many};

use crate::{
    agent::PrepareError,
    config::Config,
    container::{
        CgroupParents, LxcPaths, Shared,
        adopt::{self, Left, Remains},
        facts::Event,
        host_files::{self, HostFiles},
        processes::Report,
        recover,
        rootfs::Template,
    },
    error_chain::Chain,
    host::{
        apparmor,
        cgroup::OwnCgroups,
        descriptor_store::DescriptorStore,
        kernel, process_limits,
        seccomp::{Allowed, Filters, calls::CallList, profile},
        subordinate_ids, user_namespace,
        watch::HostWatch,
        writable_directories::WritableDirectories,
    },
    install,
    mounts::{HostPaths, unwritten::Unwritten},
};

/// The variable that names the init's program file, for an agent that is run from a build tree.
const INIT_VARIABLE: &str = "SOFTWARECONTAINER_INIT";
/// The init's program.
const INIT: &str = "softwarecontainer-init";

/// Removes what an earlier agent left and nobody goes on with, and prepares what containers need.
///
/// # Errors
/// [`PrepareError`].
pub(super) fn prepare(
    config: Config,
    lxc_path: PathBuf,
    own: Vec<PathBuf>,
    executor: Arc<Executor<'static>>,
    (reports, events): (smol::channel::Sender<Report>, smol::channel::Sender<Event>),
    store: Arc<DescriptorStore>,
) -> Result<(Shared, Vec<Left>), PrepareError> {
    let unwritten = Arc::new(Unwritten::default());
    let is_own = lxc::default_path().as_ref() != Some(&lxc_path);
    let cgroup_parents = CgroupParents::find(is_own.then_some(lxc_path.as_path()))?;
    let shared_mounts_dir = &config.container.shared_mounts_dir;
    let (left, remains) = adopt::find(shared_mounts_dir, &store);
    let kept = adopt::kept(&left);
    let removed = recover::remove_all(
        &lxc_path,
        &cgroup_parents,
        shared_mounts_dir,
        &unwritten,
        &kept,
    );
    for error in removed {
        log::error!("removing what an earlier agent left: {}", Chain(&error));
    }
    for report in remains.into_iter().flat_map(Remains::ends) {
        // Fails only when the agent is about to end, and leaves it to the next one.
        let _ = reports.try_send(report);
    }
    cgroup_parents.make(&config.container.totals)?;
    let writable =
        WritableDirectories::kept_in(shared_mounts_dir).map_err(PrepareError::Writable)?;
    // Apps write to their root trees there.
    let opened = fs::File::open(shared_mounts_dir).map_err(PrepareError::Writable)?;
    writable.add(opened).map_err(PrepareError::Writable)?;
    let init = install::program(INIT, INIT_VARIABLE);
    let template_dir = config.container.shared_mounts_dir.join("template");
    let template = Template::prepare(&template_dir, &install::prefix(), &init, !left.is_empty())?;
    let host_files = HostFiles::new(
        &config.container.shared_mounts_dir.join("host-files"),
        &config.container.host_files,
        template.system_directories().to_vec(),
    )?;
    template.add_links(Path::new(host_files::INSIDE), host_files.links())?;
    let mut calls = CallList::read(&config.seccomp_calls)?;
    let seccomp_profile =
        profile::prepare(&config.seccomp_profile, calls.as_mut(), shared_mounts_dir)?;
    let filters = Filters::new(seccomp_profile.is_some(), calls);
    // Now, rather than while a launcher waits for its first app.
    filters.get(&Allowed::default())?;
    let no_user_namespaces = user_namespace::obstacle();
    if let Some(why) = &no_user_namespaces {
        log::warn!("containers share the host's user namespace: {why}");
    }
    let kernel_lacks = kernel::lacking();
    for range in subordinate_ids::overlapping(user_namespace::ids_of(config.agent.containers)) {
        log::warn!("{range}");
    }
    for lack in &kernel_lacks {
        log::warn!("the kernel lacks {lack}");
    }
    if let Some(notice) = config.container.apparmor.notice(&apparmor::Kernel::now()) {
        log::warn!("{notice}");
    }
    let bridge = config.bridge.clone().with_free_address();
    let network = LateNetwork::new(bridge.unwrap_or_else(|error| {
        log::error!("no free address can be looked for: {}", Chain(&error));
        config.bridge.clone()
    }));
    if let Err(error) = network.get() {
        log::error!("no container can be created yet: {}", Chain(&error));
    }
    warn_if_too_many(&config.bridge.connections);
    log_refused_packets(config.bridge.log_refused);
    let watch = HostWatch::new(own.clone()).map_err(PrepareError::Watch)?;
    let shared = Shared {
        watch: Arc::new(watch),
        template,
        host_files,
        network,
        own_cgroups: OwnCgroups::remember()?,
        lxc: LxcPaths::new(lxc_path, config.container.shared_mounts_dir.clone()),
        cgroup_parents,
        unified_cgroups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        no_user_namespaces,
        kernel_lacks,
        paths: HostPaths {
            allowed: config.allowed_host_paths,
            launcher_read: config.launcher_read_paths,
            launcher_write: config.launcher_write_paths,
            own,
            writable,
        },
        unwritten,
        filters,
        seccomp_profile,
        app_limits: process_limits::find(config.container.limits.open_files),
        executor,
        reports,
        events,
        store,
        config: config.container,
    };
    Ok((shared, left))
}
