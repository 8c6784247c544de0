//! A zbus connection over a socket of ours.

use std::path::Path;

use zbus::Connection;

pub async fn connect(path: &Path) -> Connection {
    let address = format!("unix:path={}", path.display());
    zbus::connection::Builder::address(address.as_str())
        .build()
        .await
        .unwrap()
}
