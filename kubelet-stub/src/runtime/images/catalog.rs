//! The catalog of images.

use crate::runtime::spec::ContainerSpec;

/// What an image that nobody knows runs: it waits until it is deleted.
pub(crate) const STAND_IN: &str = "/usr/local/bin/image-main";

/// A program that an image brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageProgram {
    pub(crate) path: &'static str,
    /// Its name in the table of programs.
    pub(crate) name: &'static str,
}

/// A file that an image brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageFile {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    pub(crate) mode: u32,
}

/// An image: its configuration and its own files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// The last part of the repository's name.
    names: &'static [&'static str],
    /// False for an image that is not in the catalog.
    pub(crate) known: bool,
    /// Its own program is a server that ends at TERM with 0, from its first instant on.
    pub(crate) serves: bool,
    entrypoint: &'static [&'static str],
    command: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) directory: &'static str,
    pub(crate) programs: &'static [ImageProgram],
    pub(crate) files: &'static [ImageFile],
    pub(crate) os_release: &'static str,
}

const ALPINE: &str = "NAME=\"Alpine Linux\"\nID=alpine\nPRETTY_NAME=\"Alpine Linux (built into Tinyplane)\"\n";
const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux (built into Tinyplane)\"\nNAME=\"Debian GNU/Linux\"\nID=debian\n";
const UBUNTU: &str = "PRETTY_NAME=\"Ubuntu (built into Tinyplane)\"\nNAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n";
const OTHER: &str = "NAME=\"Tinyplane\"\nID=tinyplane\nPRETTY_NAME=\"Tinyplane built-in image\"\n";

const PLAIN: Image = Image {
    names: &[],
    known: true,
    serves: false,
    entrypoint: &[],
    command: &[],
    environment: &[],
    directory: "/",
    programs: &[],
    files: &[],
    os_release: OTHER,
};

const NGINX_PAGE: &str = "<!DOCTYPE html>\n<html>\n<head><title>Welcome to nginx!</title></head>\n<body>\n<h1>Welcome to \
                          nginx!</h1>\n<p>This page is served by Tinyplane's built-in nginx image.</p>\n</body>\n</html>\n";
const NGINX_START: &str = "#!/bin/sh\nset -e\nexec \"$@\"\n";
const CURL_START: &str = "#!/bin/sh\ncase \"$1\" in\n-*) exec curl \"$@\" ;;\nesac\nif command -v \"$1\" >/dev/null \
                          2>&1; then\n  exec \"$@\"\nfi\nexec curl \"$@\"\n";

static CATALOG: &[Image] = &[
    Image {
        names: &["nginx", "nginx-unprivileged"],
        serves: true,
        entrypoint: &["/docker-entrypoint.sh"],
        command: &["nginx", "-g", "daemon off;"],
        environment: &[("NGINX_VERSION", "1.27.0")],
        programs: &[ImageProgram { path: "/usr/sbin/nginx", name: "nginx" }],
        files: &[
            ImageFile { path: "/usr/share/nginx/html/index.html", text: NGINX_PAGE, mode: 0o644 },
            ImageFile { path: "/docker-entrypoint.sh", text: NGINX_START, mode: 0o755 },
            ImageFile { path: "/etc/nginx/conf.d/default.conf", text: "", mode: 0o644 },
        ],
        os_release: DEBIAN,
        ..PLAIN
    },
    Image {
        names: &["httpd"],
        serves: true,
        command: &["httpd-foreground"],
        environment: &[
            ("HTTPD_PREFIX", "/usr/local/apache2"),
            ("PATH", "/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ],
        directory: "/usr/local/apache2",
        programs: &[
            ImageProgram { path: "/usr/local/apache2/bin/httpd", name: "httpd" },
            ImageProgram { path: "/usr/local/apache2/bin/httpd-foreground", name: "httpd" },
        ],
        files: &[ImageFile {
            path: "/usr/local/apache2/htdocs/index.html",
            text: "<html><body><h1>It works!</h1></body></html>\n",
            mode: 0o644,
        }],
        os_release: DEBIAN,
        ..PLAIN
    },
    Image {
        names: &["pause"],
        serves: true,
        entrypoint: &["/pause"],
        programs: &[ImageProgram { path: "/pause", name: "pause" }],
        ..PLAIN
    },
    Image { names: &["busybox"], command: &["sh"], ..PLAIN },
    Image { names: &["alpine"], command: &["/bin/sh"], os_release: ALPINE, ..PLAIN },
    Image { names: &["debian"], command: &["bash"], os_release: DEBIAN, ..PLAIN },
    Image { names: &["ubuntu"], command: &["/bin/bash"], os_release: UBUNTU, ..PLAIN },
    Image { names: &["bash"], command: &["bash"], os_release: ALPINE, ..PLAIN },
    Image {
        names: &["curl"],
        entrypoint: &["/entrypoint.sh"],
        command: &["curl"],
        files: &[ImageFile { path: "/entrypoint.sh", text: CURL_START, mode: 0o755 }],
        os_release: ALPINE,
        ..PLAIN
    },
    Image {
        names: &["hello-world"],
        command: &["/hello"],
        programs: &[ImageProgram { path: "/hello", name: "hello" }],
        ..PLAIN
    },
    Image {
        names: &["agnhost"],
        serves: true,
        entrypoint: &["/agnhost"],
        command: &["pause"],
        programs: &[ImageProgram { path: "/agnhost", name: "agnhost" }],
        ..PLAIN
    },
];

static UNKNOWN: Image =
    Image { known: false, command: &[STAND_IN], programs: &[ImageProgram { path: STAND_IN, name: "pause" }], ..PLAIN };

/// An image by its reference: registry, tag and digest do not matter.
pub(crate) fn find(reference: &str) -> Image {
    let repository = repository(reference);
    CATALOG.iter().find(|image| image.names.contains(&repository)).copied().unwrap_or(UNKNOWN)
}

fn repository(reference: &str) -> &str {
    let without_digest = reference.split('@').next().unwrap_or(reference);
    let last = without_digest.rsplit('/').next().unwrap_or(without_digest);
    last.split(':').next().unwrap_or(last)
}

impl Image {
    /// What a container of it runs: a command replaces all of the image's, arguments only its arguments.
    pub(crate) fn command_line(&self, spec: &ContainerSpec) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        if !spec.command.is_empty() {
            return [spec.command.clone(), spec.args.clone()].concat();
        }
        if spec.args.is_empty() {
            return [owned(self.entrypoint), owned(self.command)].concat();
        }
        let entrypoint = if self.known || !self.entrypoint.is_empty() { self.entrypoint } else { self.command };
        [owned(entrypoint), spec.args.clone()].concat()
    }
}
