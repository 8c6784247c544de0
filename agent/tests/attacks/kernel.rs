//! Parts of the kernel that no app needs.

use crate::world::refused;

#[test]
fn no_kernel_is_loaded() {
    refused("kexec", &["EPERM"]);
}

#[test]
fn no_module_is_loaded() {
    refused("load_module", &["EPERM"]);
}

#[test]
fn no_module_is_loaded_from_a_file() {
    refused("load_module_file", &["EPERM"]);
}

#[test]
fn bpf_is_closed() {
    refused("bpf", &["EPERM"]);
}

#[test]
fn perf_is_closed() {
    refused("perf", &["EPERM"]);
}

#[test]
fn userfaultfd_is_closed() {
    refused("userfaultfd", &["EPERM"]);
}

#[test]
fn io_uring_is_closed() {
    refused("io_uring", &["EPERM"]);
}

#[test]
fn keyrings_are_closed() {
    refused("keyctl_session", &["ENOSYS"]);
}

#[test]
fn no_key_is_added() {
    refused("add_key", &["ENOSYS"]);
}

#[test]
fn the_kernel_log_is_closed_by_system_call() {
    refused("kernel_log", &["EPERM"]);
}

#[test]
fn the_kernel_log_is_no_device() {
    refused("kmsg_device", &["ENOENT"]);
}

#[test]
fn the_kernels_addresses_are_hidden() {
    refused("kallsyms_addresses", &["EPERM", "ENOENT"]);
}

#[test]
fn the_kernels_memory_is_hidden() {
    refused("kcore", &["ENODATA", "EACCES", "ENOENT"]);
}

#[test]
fn keys_of_users_are_hidden() {
    refused("proc_keys", &["ENODATA", "ENOENT"]);
}

#[test]
fn timers_of_processes_are_hidden() {
    refused("proc_timer_list", &["ENODATA", "ENOENT"]);
}

#[test]
fn hardware_buses_are_hidden() {
    refused("proc_bus", &["ENODATA", "ENOENT"]);
}

#[test]
fn interrupts_cannot_be_moved() {
    refused("proc_irq", &["ENODATA", "ENOENT"]);
}

#[test]
fn file_systems_insides_are_hidden() {
    refused("proc_fs", &["ENODATA", "ENOENT"]);
}

#[test]
fn hardware_and_command_line_of_the_machine_are_hidden() {
    refused("hardware", &["ENODATA"]);
}

#[test]
fn firmware_tables_are_hidden() {
    refused("sys_firmware", &["ENODATA", "ENOENT"]);
}

#[test]
fn the_machine_cannot_be_rebooted() {
    refused("reboot", &["EPERM"]);
}

#[test]
fn the_clock_cannot_be_set() {
    refused("set_time", &["EPERM"]);
}

#[test]
fn nothing_is_swapped_on() {
    refused("swapon", &["EPERM"]);
}

#[test]
fn protections_of_memory_stay_on() {
    refused("personality", &["EPERM"]);
}

#[test]
fn the_hypervisor_cannot_be_called() {
    refused("vsock", &["EAFNOSUPPORT"]);
}

#[test]
fn the_kernels_ciphers_are_closed() {
    refused("alg_socket", &["EAFNOSUPPORT"]);
}

/// Without the filter the kernel looks for a module.
#[test]
fn no_protocol_that_apps_do_not_need_is_loaded() {
    refused("rare_protocol", &["EPROTONOSUPPORT"]);
}

#[test]
fn no_raw_packets_are_sent() {
    refused("raw_socket", &["EPERM"]);
}

#[test]
fn no_packets_are_overheard() {
    refused("packet_socket", &["EPERM"]);
}

#[test]
fn no_input_is_faked_in_a_terminal() {
    refused("tiocsti", &["EPERM"]);
}
