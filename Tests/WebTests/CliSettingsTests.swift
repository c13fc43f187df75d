import CommandLine
import Foundation
import Kernel
import Testing

@Suite struct CliSettingsTests {
    private func configuration(
        _ environment: [String: String], file: [String: String]? = nil, secrets: [String: String] = [:]
    ) throws(CommandFailure) -> Configuration {
        try Configuration(environment: environment, file: file.map { ("postern.yaml", $0) }) {
            path throws(CommandFailure) in
            guard let text = secrets[path] else { throw CommandFailure(.usage, "there is no file \(path).") }
            return text
        }
    }

    private func refusal(_ environment: [String: String], file: [String: String]? = nil) -> CommandFailure? {
        do {
            _ = try configuration(environment, file: file)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the environment wins over the file, and the file over defaults`() throws {
        let both = try configuration(
            ["POSTERN_STAFF_PORT": "9001"], file: ["staff_port": "9002", "auditor_port": "9003"])
        #expect(both.port("staff_port") == 9001)
        #expect(both.port("auditor_port") == 9003)
        #expect(both.port("runtime_port") == 8082)
        #expect(both.entry("staff_port")?.origin == .environment("POSTERN_STAFF_PORT"))
        #expect(both.entry("auditor_port")?.origin == .file("postern.yaml"))
    }

    @Test func `pairs are read with spaces in what stands before the last sign, and belong to their claim`() throws {
        let provider = [
            "POSTERN_OIDC_ISSUER": "https://idp.example", "POSTERN_OIDC_CLIENT_ID": "postern",
            "POSTERN_OIDC_CLIENT_SECRET": "only-for-tests", "POSTERN_OIDC_ROLES_CLAIM": "groups",
        ]
        let some = try configuration(
            provider.merging(["POSTERN_OIDC_ROLES": "Support Agents=support_l1, a=b = legal,x=security"]) { $1 })
        #expect(some.pairs("oidc_roles").map(\.key) == ["Support Agents", "a=b", "x"])
        #expect(some.pairs("oidc_roles").map(\.value) == ["support_l1", "legal", "security"])
        let alone = try #require(refusal(provider))
        #expect(alone.message.contains("oidc_roles_claim is set but oidc_roles is not"))
        let without = try #require(refusal(["POSTERN_OIDC_ROLES": "a=legal", "POSTERN_OIDC_CA_FILE": "/ca.pem"]))
        #expect(without.message.contains("oidc_roles is set but oidc_roles_claim is not"))
        #expect(without.message.contains("oidc_ca_file is set but oidc_issuer is not"))
    }

    @Test func `an unknown variable is named with the nearest known one`() throws {
        let failure = try #require(refusal(["POSTERN_STAF_PORT": "1"]))
        #expect(failure.status == .usage)
        #expect(failure.message.contains("POSTERN_STAF_PORT"))
        #expect(failure.message.contains("Did you mean POSTERN_STAFF_PORT?"))
    }

    @Test func `an unknown key of the file is named with the nearest known one`() throws {
        let failure = try #require(refusal([:], file: ["databse_url": "sqlite:x"]))
        #expect(failure.message.contains("databse_url in postern.yaml"))
        #expect(failure.message.contains("Did you mean database_url?"))
    }

    @Test(arguments: [
        ("POSTERN_STAFF_PORT", "0"), ("POSTERN_STAFF_PORT", "eighty"), ("POSTERN_STAFF_URL", "console"),
        ("POSTERN_STAFF_NETWORKS", "10.0.0.0/33"), ("POSTERN_SESSION_IP_BINDING", "maybe"),
        ("POSTERN_ENVIRONMENT", "prod"), ("POSTERN_DATABASE_URL", "mysql://x"), ("POSTERN_TRUSTED_PROXIES", "proxy"),
        ("POSTERN_TRUSTED_PROXY_HEADER", "x-real-ip"),
        ("POSTERN_OIDC_ROLES", "support_l1"), ("POSTERN_OIDC_ROLES", "Agents=support_l1, =legal"),
        ("POSTERN_OIDC_ROLES", "Agents=support l1"),
    ])
    func `a wrong value names the variable and what is expected`(variable: String, value: String) throws {
        let failure = try #require(refusal([variable: value]))
        #expect(failure.status == .usage)
        #expect(failure.message.contains("\(variable) is"))
        #expect(failure.message.contains("expected"))
    }

    @Test func `every mistake is told at once`() throws {
        let failure = try #require(
            refusal(["POSTERN_STAFF_PORT": "x", "POSTERN_AUDITOR_PORT": "y", "POSTERN_NO": "1"]))
        #expect(failure.message.split(separator: "\n").count == 4)
    }

    @Test func `a secret is read from its file and never shown when it is wrong`() throws {
        let good = try configuration(
            ["POSTERN_DATABASE_URL_FILE": "/s"], secrets: ["/s": "postgres://a:hush@db/postern\n"])
        #expect(good.value("database_url") == "postgres://a:hush@db/postern")
        let failure = try #require(refusal(["POSTERN_DATABASE_URL": "mysql://root:hush@db/x"]))
        #expect(!failure.message.contains("hush"))
    }

    @Test func `a secret given twice is refused`() throws {
        let failure = try #require(refusal(["POSTERN_DATABASE_URL": "sqlite:x", "POSTERN_DATABASE_URL_FILE": "/s"]))
        #expect(failure.message.contains("keep one"))
    }

    @Test func `a certificate without its key is refused`() throws {
        let failure = try #require(refusal(["POSTERN_TLS_CERTIFICATE": "/c.pem"]))
        #expect(failure.message.contains("tls_key"))
    }

    @Test func `a key comes from a file or from a command, not from both`() throws {
        let one = try configuration(["POSTERN_PEPPER_COMMAND": "pass show pepper"])
        #expect(one.text("pepper_command") == "pass show pepper")
        let failure = try #require(
            refusal(["POSTERN_PEPPER_COMMAND": "pass show pepper"], file: ["pepper_file": "/p"]))
        #expect(failure.message.contains("pepper_file and pepper_command are both set"))
    }

    @Test func `a command's standard output is the secret`() throws {
        #expect(try SecretCommand.output(of: "printf 'a key\\n'; echo noise >&2", setting: "x") == "a key\n")
        // Nothing is there to read from, and a closed pipe ends what writes into it.
        #expect(try SecretCommand.output(of: "cat; yes | head -c 3", setting: "x") == "y\ny")
    }

    @Test(arguments: [
        ("exit 3", "pepper_command ended with status 3."), ("kill -9 $$", "pepper_command was ended by signal 9."),
        ("true", "pepper_command printed nothing."), ("printf '\\377'", "pepper_command printed no text."),
        ("no-such-program-here", "pepper_command ended with status 127."),
        ("yes", "pepper_command prints more than a key."),
    ])
    func `a command that prints no key is refused with the reason`(command: String, sentence: String) throws {
        let failure = #expect(throws: CommandFailure.self) {
            try SecretCommand.output(of: command, setting: "pepper_command")
        }
        #expect(failure?.message == sentence)
        #expect(failure?.status == .usage)
    }

    @Test(arguments: ["sleep 600", "sleep 600 | cat", "exec 1>&-; sleep 600"])
    func `a command that hangs is ended`(command: String) throws {
        let file = NSTemporaryDirectory() + "postern-command-\(SecureRandom.bytes(6).hex)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let failure = #expect(throws: CommandFailure.self) {
            try SecretCommand.output(of: "echo $$ > \(file); \(command)", setting: "x", limit: .seconds(2))
        }
        #expect(failure?.message.contains("did not end within") == true)
        let text = try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .newlines)
        #expect(kill(try #require(pid_t(text)), 0) == -1 && errno == ESRCH)
    }

    @Test func `places in the data directory follow it`() throws {
        let moved = try configuration(["POSTERN_DATA": "/srv/postern"])
        #expect(moved.value("log_key_file") == "/srv/postern/keys/log.key")
        #expect(moved.value("database_url") == "sqlite:/srv/postern/postern.db")
        let demo = try configuration([:]).defaulting(["data": "./var/demo"])
        #expect(demo.value("checkpoints_file") == "./var/demo/checkpoints.log")
    }

    @Test func `the reference names every setting`() {
        for setting in Setting.all {
            #expect(Configuration.reference.contains("`\(setting.key)` | `\(setting.variable)`"))
        }
    }
}
