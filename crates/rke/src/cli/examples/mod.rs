//! The examples at the end of `--help`. A test parses each of them as the program would.

pub(crate) const SERVE: &str = "\
Examples:
  rke serve
  rke serve --config /etc/rke.toml --log-format json
  rke serve --require-token --unix-socket /run/rke/rke.sock";

pub(crate) const DEV: &str = "\
Examples:
  rke dev
  rke dev --once
  rke dev --ports auto
  rke dev --data-dir dev --records records.txt";

pub(crate) const NET: &str = "\
Examples:
  rke net up --domain content.example.com
  rke net up --domain content.example.com --exec 'tr a-z A-Z' --dir net
  rke net status --dir net
  rke net down --dir net
  rke net up --dir net
  rke net up --domain content.example.com --dir shared --daemons 3 --content-servers 2

`up` on a network that exists starts what does not run of it. `run` in the folder of a part runs that part alone, on this machine or \
on another one that the folder was moved to.";

pub(crate) const RAIDA: &str = "\
Examples:
  rke raida --index 7 --listen 0.0.0.0:50007 --coins coins --data-dir node \\
      --preloader 0:42=CONTENT-SERVER01,0:43
  rke raida --index 7 --listen 0.0.0.0:50007 --coins coins --data-dir node \\
      --preloader coins/coin_0_42.bin=CONTENT-SERVER01
  rke raida --config /etc/rke/raida.toml
  rke raida status --metrics 127.0.0.1:9464
  rke raida owner list --data-dir node
  rke raida owner move CONTENT-SERVER01 0:44 --data-dir node";

pub(crate) const CONTENT_SERVER: &str = "\
Examples:
  rke content-server preload --cs-id CONTENT-SERVER01 --data-dir keys \\
      --domain content.example.com --host cs1.example.com \\
      --raida-directory raidas.txt --wallet wallet
  rke content-server rotate --cs-id CONTENT-SERVER01 --data-dir keys \\
      --domain content.example.com --host cs1.example.com \\
      --raida-directory raidas.txt --wallet wallet --format nsupdate --ttl 600 \\
      | nsupdate -k update.key
  rke content-server serve --cs-id CONTENT-SERVER01 --data-dir keys \\
      --exec 'tr a-z A-Z'
  rke content-server serve --cs-id CONTENT-SERVER01 --data-dir keys \\
      --forward 127.0.0.1:5432
  rke content-server serve --cs-id CONTENT-SERVER01 --data-dir keys \\
      --api unix:/run/rke-content-server/api.sock
  rke content-server serve --config /etc/rke/content-server.toml
  rke content-server status --metrics 127.0.0.1:9465
  rke content-server key-sets --data-dir keys
  rke content-server list --api unix:/run/rke-content-server/api.sock
  rke content-server open 5d41402a letter.sealed -o letter.txt \\
      --api unix:/run/rke-content-server/api.sock";

pub(crate) const SESSION: &str = "\
Examples:
  SESSION_ID=$(rke session create content.example.com --wallet ~/wallet)
  rke session list
  rke session list --format '{session_id},{state}'
  rke session renew $SESSION_ID
  rke session delete 3f 9ab2 --everywhere
  rke session delete $SESSION_ID --forget --verify
  rke session delete --all --domain content.example.com

An id may be shortened as long as no other session's id begins the same way.";

pub(crate) const KEYS: &str = "\
Examples:
  rke keys list
  rke keys forget content.example.com
  rke keys forget --all";

pub(crate) const ENCRYPT: &str = "\
Examples:
  rke encrypt $SESSION_ID letter.txt -o letter.sealed
  rke encrypt $SESSION_ID letter.txt -o letter.sealed --aad letter.txt
  tar c photos | rke encrypt $SESSION_ID > photos.sealed
  echo hello | rke encrypt $SESSION_ID --lines

The data opens only in this session, and only while it lives. When the session expires or is deleted, nobody can \
read the data again. It is meant for the way to the Content Server and back, not for storage.";

pub(crate) const DECRYPT: &str = "\
Examples:
  rke decrypt $SESSION_ID letter.sealed -o letter.txt
  rke decrypt $SESSION_ID < photos.sealed | tar x
  rke decrypt $SESSION_ID --lines < lines.txt
  rke decrypt $SESSION_ID --raw data.bin -o data

The session must be the one that encrypted. Data that cannot show whether it was altered is decrypted only with \
--raw or --lines. Sealed data goes to standard output piece by piece as it proves good: only exit code 0 says that \
all of it was there.";

pub(crate) const CONNECT: &str = "\
Examples:
  echo hello | rke connect $SESSION_ID
  ssh -o ProxyCommand='rke connect content.example.com --wallet ~/wallet' me@host

Exits as ssh does: with the exit status of the command at the Content Server, and with 255 and a reason on one line for every \
failure of its own. A tunnel that is cut is such a failure.";

pub(crate) const FORWARD: &str = "\
Examples:
  rke forward content.example.com 127.0.0.1:5432 --wallet ~/wallet
  psql -h 127.0.0.1 -p 5432

It goes on until Ctrl-C. Every program on this machine that connects to LISTEN uses your session.";

pub(crate) const EXPORT: &str = "\
Examples:
  rke export $SESSION_ID --label wireguard
  rke export $SESSION_ID --label vpn --context YWxpY2UrYm9i --length 64 --format raw | ./take-key

The daemon needs `--allow-export LABEL`. The other end gets the same key for the same label, context and length: at a Content \
Server, with --daemon for its --api and the id of the session's key. The key does not end with the session.";

pub(crate) const PSK: &str = "\
Examples:
  rke psk --domain content.example.com --wallet ~/wallet --exec './take-key'
  rke psk --domain content.example.com --wallet ~/wallet --format openssl \\
      --exec './new-key' --every 3600

The daemon needs `--allow-export rke-psk`, and the Content Server `--psk-exec COMMAND`. Its command gets the key first.";

pub(crate) const WIREGUARD: &str = "\
Examples:
  rke wireguard --interface wg0 --domain content.example.com \\
      --wallet ~/wallet --peer xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=

The daemon needs `--allow-export rke-wireguard`, and the Content Server `--wireguard INTERFACE`. Tunnels that are up go on: \
WireGuard uses a new key from its next handshake on, within two minutes.";

pub(crate) const WATCH: &str = "\
Examples:
  rke watch
  rke watch --daemon unix:/run/rke/rke.sock

The arrow keys scroll, ? shows what the signs mean, q quits.";

pub(crate) const ACTIVITY: &str = "\
Examples:
  rke activity
  rke activity --json

The daemon keeps the last 1,000 events since it started, in memory only. --audit-log of `rke serve` keeps them for good.";

pub(crate) const RAIDAS: &str = "\
Examples:
  rke raidas
  rke raidas refresh

Only a daemon with --guardian can refresh: its guardians say where the RAIDAs are, for domains whose records do not give their \
indexes.";

pub(crate) const PING: &str = "\
Examples:
  rke ping content.example.com
  rke ping content.example.com --dns-server 127.0.0.1:25053

Exits as ping does: 0 if enough RAIDAs and the Content Server respond, 1 if they do not, 2 if there is nobody to ask. No coin or \
key is used.";

pub(crate) const DISCOVER: &str = "\
Examples:
  rke discover content.example.com
  rke discover content.example.com --json";

pub(crate) const DOCTOR: &str = "\
Examples:
  rke doctor
  rke doctor content.example.com --wallet ~/wallet
  rke doctor content.example.com --json
  rke doctor --records content.example.com --data-dir keys \\
      --host cs1.example.com --port 443 --raida-directory raidas.txt

Exit code 1 where something fails. No coin or key is used, and nothing is changed, except that the daemon counts \
the requests that it has to refuse here among its refusals.";

pub(crate) const TRUST: &str = "\
Examples:
  rke trust list
  rke trust accept content.example.com CONTENT-SERVER02
  rke trust remove content.example.com --data-dir /var/lib/rke

The daemon remembers the Content Server of each domain after the first session, and refuses another one until \
`rke trust accept` says that it is right. Ask the operator of the domain first: an attack looks like a change.";

pub(crate) const WALLET: &str = "\
Examples:
  rke wallet list ~/wallet
  rke wallet check ~/wallet
  rke wallet new wallet 0:2001 0:2002";

pub(crate) const COIN: &str = "\
Examples:
  rke coin split wallet/Bank/coin_0_2001.bin --out coins

A node needs its own AN of each coin and no other: `rke raida --index 7 --coins coins/raida-7 …`. A running node takes new files \
in that folder by itself.";

pub(crate) const AUDIT: &str = "\
Examples:
  rke audit verify audit.log.1 audit.log --data-dir ~/.local/share/rke
  rke audit tag $SESSION_ID --data-dir ~/.local/share/rke
  rke audit tag $SESSION_ID --store-key-file /etc/rke/store.key";

pub(crate) const STORE: &str = "\
Examples:
  rke store key /etc/rke/store.key
  rke store key /etc/rke/store.key --rotate --store rediss://store.example.com:6379

Copy the file to all machines that share the store, as a binary file of mode 0600. With --rotate once a day, someone who has recorded \
the store and gets the file later opens the records of a day or two, and no older ones.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  rke completions bash > /etc/bash_completion.d/rke
  rke completions fish > ~/.config/fish/completions/rke.fish
  echo 'source <(rke completions zsh)' >> ~/.zshrc

For zsh, that line must come after `compinit`. The shell asks this program what may come next, and the program asks \
the daemon for ids: write the files again after an update.";

pub(crate) const MAN: &str = "\
Examples:
  rke man /usr/local/share/man/man1";

#[cfg(test)]
mod tests;
