/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See toml.h. The only file in C++: Debian has no TOML library in C.
 */
#include "toml.h"

#include <cstring>
#include <exception>
#include <sstream>
#include <toml++/toml.h>

char *toml_to_json(const char *toml, char **error)
{
	std::ostringstream text;

	try {
		text << toml::json_formatter{ toml::parse(std::string_view{ toml }) };
		return strdup(text.str().c_str());
	} catch (const toml::parse_error &wrong) {
		text << "line " << wrong.source().begin.line << ": " << wrong.description();
	} catch (const std::exception &wrong) {
		text << wrong.what();
	}
	*error = strdup(text.str().c_str());
	return nullptr;
}
