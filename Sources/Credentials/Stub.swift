import Foundation
import CArgon2
import CQREncode
