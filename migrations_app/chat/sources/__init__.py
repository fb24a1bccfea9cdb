"""Where chat comes from (R103 to R106, R119): each kind of source one module, read by stream. Plain Python."""
