//! What a shell needs of the program: completions and manual pages.

mod support;

use support::{Sandbox, cosmicai};

/// Bash reads the script and completes a command and an option.
#[test]
fn bash_completes_commands_and_options() {
    let sandbox = Sandbox::new();
    let script = cosmicai().args(["completions", "bash"]).assert().success().get_output().stdout.clone();
    sandbox.write("completions", &script);
    let complete = |words: &str| {
        let lines = format!(
            ". ./completions; COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); \
             _cosmicai cosmicai \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = std::process::Command::new("bash")
            .args(["-c", &lines])
            .current_dir(sandbox.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("cosmicai pred").trim(), "predict");
    assert_eq!(complete("cosmicai run --endp").trim(), "--endpoint-url");
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = cosmicai().args(["completions", shell]).assert().success().get_output().stdout.clone();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("validate-forecast") && script.contains("endpoint-url"), "{shell}: {script}");
    }
}

#[test]
fn manual_pages_have_the_help_of_every_command() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("man/man1");
    let output = cosmicai().args(["man-pages", "--format", "json", "--out"]).arg(&folder).assert().success();
    let json: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let files = json["files"].as_array().unwrap();
    assert!(files.len() > 25, "{files:?}");
    let page = |name: &str| String::from_utf8(sandbox.bytes(&format!("man/man1/{name}.1"))).unwrap();
    assert!(page("cosmicai").contains("validate\\-forecast"));
    assert!(page("cosmicai-predict").contains(".TH cosmicai-predict 1"), "{}", page("cosmicai-predict"));
    assert!(page("cosmicai-deploy-render").contains("state_machine.asl.json"));
}
