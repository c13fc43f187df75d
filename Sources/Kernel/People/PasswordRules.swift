import Foundation

/// What a password must be (NIST SP 800-63B §5.1.1.2, OWASP ASVS 5.0 §6.2): long enough and not guessable; any characters,
/// no composition rules.
public enum PasswordRules {
    public static let length = 12...128

    /// The form that is hashed: NFKC, so that one password typed on two keyboards is one password.
    public static func normalise(_ password: String) -> String { password.precomposedStringWithCompatibilityMapping }

    /// Why a password can't be used, as the end of a sentence that starts with "The password"; `nil` when it can.
    public static func refusal(_ password: String, email: String) -> String? {
        let folded = normalise(password)
        let count = folded.count
        if count < length.lowerBound {
            return
                "must have at least \(length.lowerBound) characters; it has \(count). A few unrelated words are easiest."
        }
        if count > length.upperBound { return "must have at most \(length.upperBound) characters; it has \(count)." }
        let lower = folded.lowercased()
        let local = String(email.lowercased().prefix { $0 != "@" })
        if local.count >= 3, lower.contains(local) { return "must not contain your e-mail name." }
        if common.contains(lower) || isPattern(lower) {
            return "is one of the first that are guessed. Choose something nobody else would."
        }
        return nil
    }

    /// Few different characters, a short piece repeated, or a run along the alphabet, the digits or a keyboard row.
    private static func isPattern(_ text: String) -> Bool {
        let characters = Array(text)
        if Set(characters).count <= 3 { return true }
        for unit in 1...(characters.count / 2)
        where characters.count % unit == 0 && characters.indices.allSatisfy({ characters[$0] == characters[$0 % unit] })
            && unit <= 6
        {
            return true
        }
        return rows.contains { row in row.contains(text) || String(row.reversed()).contains(text) }
    }

    private static let rows = [
        "abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "1234567890-=qwertyuiop[]asdfghjkl;'zxcvbnm,./",
        "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qwertyuiop1234567890",
    ]

    /// Of the lists of leaked passwords, those that are long enough to reach this point, lower case.
    private static let common: Set<String> = [
        "password1234", "password12345", "password123456", "password1234567", "password12345678", "password123456789",
        "passwordpassword", "password123!", "password1234!", "password2024", "password2025", "password2026",
        "passw0rd1234", "p@ssw0rd1234", "p@ssword1234", "p@ssw0rd123!", "mypassword123", "mypassword1234",
        "welcome12345", "welcome123456", "welcome1234!", "changeme1234", "changeme12345", "changeme123!",
        "letmein12345", "letmein123456", "iloveyou1234", "iloveyou12345", "iloveyouforever", "iloveyousomuch",
        "administrator", "administrator1", "administrator123", "admin1234567", "admin12345678", "admin123456789",
        "qwerty123456", "qwerty1234567", "qwerty12345678", "qwerty123456789", "qwertyuiop123", "qwertyuiop12",
        "q1w2e3r4t5y6", "q1w2e3r4t5y6u7", "1q2w3e4r5t6y", "1q2w3e4r5t6y7u", "1q2w3e4r5t6y7u8i", "qazwsxedcrfv",
        "1qaz2wsx3edc", "1qaz2wsx3edc4rfv", "1qazxsw23edc", "zaq12wsxcde3", "zaq1zaq1zaq1", "asdfghjkl123",
        "abcdefg12345", "abcd12345678", "abc123456789", "abcdefgh1234", "123456789abc", "1234567890abc",
        "123456789qwe", "1234567890qwe", "123qweasdzxc", "qweasdzxc123", "qwe123456789", "qweqweqweqwe",
        "a123456789012", "aa123456789a", "a1b2c3d4e5f6", "a1s2d3f4g5h6", "football1234", "baseball1234",
        "basketball12", "sunshine1234", "princess1234", "superman1234", "batman123456", "dragon123456",
        "monkey123456", "michael12345", "charlie12345", "jennifer1234", "liverpool123", "manchester123",
        "manchesterunited", "chelsea12345", "arsenal12345", "barcelona123", "realmadrid123", "newyorkcity1",
        "california123", "thequickbrownfox", "correcthorsebatterystaple", "correct horse battery staple",
        "maytheforcebewithyou", "starwars1234", "pokemon12345", "minecraft123", "whateverwhatever", "secret123456",
        "secretsecret", "supersecret1", "supersecret123", "topsecret123", "trustno1trustno1", "nothing12345",
        "computer1234", "internet1234", "samsung12345", "google123456", "facebook1234", "linkedin1234",
        "microsoft123", "master123456", "masterkey123", "shadow123456", "freedom12345", "hello1234567",
        "hellohello12", "helloworld12", "helloworld123", "helloworld1234", "test12345678", "testtesttest",
        "test1234test", "testpassword", "testpassword1", "testpassword123", "temppassword1", "temporary123",
        "defaultpassword", "default12345", "guest1234567", "user12345678", "root12345678", "toor12345678",
        "postgres1234", "database1234", "server123456", "company12345", "business1234", "summer202412",
        "summer2024!!", "summer2025!!", "winter2024!!", "winter2025!!", "spring2025!!", "autumn2025!!",
        "january2026!", "monday123456", "friday123456", "christmas2025", "happybirthday", "happynewyear",
        "iamthebest123", "lovelovelove", "jesuschrist1", "godisgood123", "blessed12345", "family123456",
        "mustang12345", "corvette1234", "ferrari12345", "mercedes1234", "harleydavidson", "blink182blink182",
        "postern12345", "posternpostern", "backoffice123", "backofficeadmin",
    ]
}
