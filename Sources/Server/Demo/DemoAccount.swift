import CommandLine
import Foundation
import Kernel

/// How one of the demo's people signs in; kept in `demo.json` (docs/decisions/0003-demo-file.md).
struct DemoAccount: Sendable {
    let email: String
    let password: String
    /// Base32, RFC 6238 defaults.
    let totpSecret: String
    let roles: [String]

    init(email: String, password: String, totpSecret: String, roles: [String]) {
        self.email = email
        self.password = password
        self.totpSecret = totpSecret
        self.roles = roles
    }

    private init?(_ json: JSON) {
        guard let email = json["email"]?.string, let password = json["password"]?.string,
            let secret = json["totp_secret"]?.string
        else { return nil }
        self.init(
            email: email, password: password, totpSecret: secret,
            roles: json["roles"]?.array?.compactMap(\.string) ?? [])
    }

    private var json: JSON {
        [
            "email": .string(email), "password": .string(password), "totp_secret": .string(totpSecret),
            "roles": .array(roles.map(JSON.string)),
        ]
    }

    /// Four groups of four letters and digits: 80 random bits that can be typed.
    static func newPassword(for email: String) -> String {
        while true {
            let letters = Array(Base32.encode(SecureRandom.bytes(10)).lowercased())
            let password = stride(from: 0, to: 16, by: 4).map { String(letters[$0..<$0 + 4]) }.joined(separator: "-")
            if PasswordRules.refusal(password, email: email) == nil { return password }
        }
    }

    func code(at now: Instant) -> String? {
        Base32.decode(totpSecret).map { TOTP.code(secret: $0, at: now) }
    }

    // MARK: The file

    static func file(in data: String) -> String { data + "/demo.json" }

    /// `nil` when there is no such file.
    static func load(from data: String) throws(CommandFailure) -> [DemoAccount]? {
        let path = file(in: data)
        guard let text = try PrivateFile.read(path) else { return nil }
        let accounts = (try? JSON(parsing: text))?.array?.compactMap(DemoAccount.init)
        guard let accounts, !accounts.isEmpty else {
            throw CommandFailure(.usage, "\(path) is damaged. Remove the directory \(data) to make the demo anew.")
        }
        return accounts
    }

    static func save(_ accounts: [DemoAccount], runtimeToken: String, in data: String) throws(CommandFailure) {
        try PrivateFile.write(
            JSON.object(["runtime_token": .string(runtimeToken)]).pretty() + "\n", to: data + "/runtime.json")
        // Last: a demo is whole when this file is there.
        try PrivateFile.write(JSON.array(accounts.map(\.json)).pretty() + "\n", to: file(in: data))
    }
}
