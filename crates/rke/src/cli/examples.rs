//! The examples that `--help` ends with. A test reads each of them as the program would.

pub(crate) const SERVE: &str = "\
Examples:
  rke serve
  rke serve --config /etc/rke.toml --log-format json
  rke serve --require-token --unix-socket /run/rke/rke.sock";

pub(crate) const DEV: &str = "\
Examples:
  rke dev
  rke dev --once
  rke dev --listen 127.0.0.1:0 --raida-port 0 --dns-port 0 --content-server-port 0";

pub(crate) const RAIDA: &str = "\
Examples:
  rke raida --index 7 --listen 0.0.0.0:50007 --coins coins --data-dir node --preloader 0:42=CONTENT-SERVER01,0:43
  rke raida --config /etc/rke/raida.toml
  rke raida owner list --data-dir node
  rke raida owner move CONTENT-SERVER01 0:44 --data-dir node";

pub(crate) const CONTENT_SERVER: &str = "\
Examples:
  rke content-server preload --cs-id CONTENT-SERVER01 --data-dir keys --domain content.example.com \\
      --host cs1.example.com --raida-directory raidas.txt --wallet wallet
  rke content-server serve --cs-id CONTENT-SERVER01 --data-dir keys --exec 'tr a-z A-Z'";

pub(crate) const SESSION: &str = "\
Examples:
  SESSION_ID=$(rke session create content.example.com --wallet ~/wallet)
  rke session list
  rke session renew $SESSION_ID
  rke session delete $SESSION_ID --everywhere
  rke session delete $SESSION_ID --forget --verify
  rke session delete --all --domain content.example.com";

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

The data opens only in this session, and only while it lives. When the session expires or is deleted, nobody can
read the data again. It is meant for the way to the Content Server and back, not for storage.";

pub(crate) const DECRYPT: &str = "\
Examples:
  rke decrypt $SESSION_ID letter.sealed -o letter.txt
  rke decrypt $SESSION_ID < photos.sealed | tar x
  rke decrypt $SESSION_ID --lines < lines.txt
  rke decrypt $SESSION_ID --raw data.bin -o data

The session must be the one that encrypted. Data that cannot show whether it was altered is decrypted only with
--raw or --lines. Sealed data goes to standard output piece by piece as it proves good: only exit code 0 says that
all of it was there.";

pub(crate) const CONNECT: &str = "\
Examples:
  echo hello | rke connect $SESSION_ID

Exits as ssh does: with the exit status of the command at the Content Server, and with 255 and one line of reason
for every failure of its own. A tunnel that is cut is such a failure.";

pub(crate) const WATCH: &str = "\
Examples:
  rke watch
  rke watch --daemon unix:/run/rke/rke.sock

q, Esc and Ctrl-C leave.";

pub(crate) const RAIDAS: &str = "\
Examples:
  rke raidas
  rke raidas refresh

Only a daemon with --guardian can refresh: its guardians say where RAIDAs are that the records of a domain do not
give an index.";

pub(crate) const DISCOVER: &str = "\
Examples:
  rke discover content.example.com
  rke discover content.example.com --json";

pub(crate) const DOCTOR: &str = "\
Examples:
  rke doctor
  rke doctor content.example.com --wallet ~/wallet
  rke doctor content.example.com --json

Exit code 1 where something fails. No coin or key is used, and nothing is changed, except that the daemon counts
the requests that it has to refuse here among its refusals.";

pub(crate) const TRUST: &str = "\
Examples:
  rke trust list
  rke trust accept content.example.com CONTENT-SERVER02
  rke trust remove content.example.com --data-dir /var/lib/rke

The daemon remembers the Content Server of each domain after the first session, and refuses another one until
`rke trust accept` says that it is right. Ask the operator of the domain first: an attack looks like a change.";

pub(crate) const AUDIT: &str = "\
Examples:
  rke audit verify audit.log.1 audit.log --data-dir ~/.local/share/rke
  rke audit tag $SESSION_ID --data-dir ~/.local/share/rke";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  rke completions bash > /etc/bash_completion.d/rke
  mkdir -p ~/.zfunc
  rke completions zsh > ~/.zfunc/_rke
  rke completions fish > ~/.config/fish/completions/rke.fish

For zsh, ~/.zshrc has to have before `compinit`: fpath+=~/.zfunc";

pub(crate) const MAN: &str = "\
Examples:
  rke man /usr/local/share/man/man1";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    /// All examples, as lists of words. Enough of a shell for what stands there.
    fn lines(text: &str) -> Vec<Vec<String>> {
        let text = text.replace("\\\n", " ").replace("$(rke", "\nrke").replace(')', " ");
        let commands = text.lines().flat_map(|line| line.split('|')).map(str::trim);
        let commands = commands.filter(|line| line.starts_with("rke ") && !line.contains('`'));
        let words = |line: &str| {
            let line = line.split(['<', '>']).next().unwrap_or_default().replace("'tr a-z A-Z'", "tr");
            line.split_whitespace().map(str::to_owned).collect()
        };
        commands.map(words).collect()
    }

    fn check(command: &clap::Command, found: &mut usize) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for words in lines(&help) {
            *found += 1;
            if let Err(error) = Cli::command().try_get_matches_from(&words) {
                panic!("{words:?}: {error}");
            }
        }
        command.get_subcommands().for_each(|command| check(command, found));
    }

    #[test]
    fn every_example_is_a_command_that_the_program_takes() {
        let mut found = 0;
        check(&Cli::command(), &mut found);
        assert!(found > 30, "{found} examples were found");
    }
}
